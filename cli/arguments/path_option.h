#pragma once
#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <type_traits>

namespace troupe::cli {

/// A path as people write it: `~/x` is in the home folder, also where no shell saw to that (`--run-dir=~/x`,
/// a configuration's value). Throws kConfig for `~name`, and for a path that is not UTF-8: it could not be
/// written into the configuration, the manifest or a message between processes.
[[nodiscard]] std::string user_path(const std::string& path);

/// Throws kIo unless the file can be written, before the work whose result it is to have. What is there
/// stays.
void require_writable(const std::filesystem::path& file);

/// Adds an option, or an argument, that is a path: `value` gets user_path of it; its help states the value
/// that it has now.
template <class Path>
CLI::Option* add_path(CLI::App& subcommand, const std::string& name, Path& value, const std::string& help) {
  CLI::Option* option = subcommand.add_option_function<std::string>(
      name, [&value](const std::string& path) { value = Path(user_path(path)); }, help);
  if constexpr (std::is_same_v<Path, std::string>) option->default_str(value);
  return option;
}

}  // namespace troupe::cli
