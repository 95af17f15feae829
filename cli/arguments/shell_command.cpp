#include "cli/arguments/shell_command.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "cli/arguments/this_process.h"

namespace troupe::cli {
namespace {

bool is_plain(char c) {
  constexpr std::string_view kOther = "_-./=,:@%+";
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || kOther.find(c) != std::string_view::npos;
}

/// Whether this program is what the shell finds under the name, in any folder.
bool is_in_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (std::string_view rest = path == nullptr ? "" : path; !rest.empty();) {
    const std::size_t colon = rest.find(':');
    const std::filesystem::path candidate = std::filesystem::path(rest.substr(0, colon)) / name;
    std::error_code missing;
    if (std::filesystem::exists(candidate, missing))
      return candidate.is_absolute() && std::filesystem::equivalent(candidate, program_path(), missing);
    rest = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
  }
  return false;
}

}  // namespace

std::string shell_word(std::string_view word) {
  if (!word.empty() && std::ranges::all_of(word, is_plain)) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string troupe_command(const std::vector<std::string>& arguments) {
  std::string command = shell_word(is_in_path("troupe") ? "troupe" : program_path());
  for (const std::string& argument : arguments) command += " " + shell_word(argument);
  return command;
}

}  // namespace troupe::cli
