#pragma once
#include <spdlog/spdlog.h>

#include <filesystem>
#include <string>

namespace troupe::log {

/// Where this process logs: to stderr (level info and above, coloured on a terminal unless NO_COLOR),
/// and to `file` when not empty. `name` goes before each line, e.g. "worker 3".
void set_up(const std::string& name, const std::filesystem::path& file = {});

using Level = spdlog::level::level_enum;

/// One line for the file alone: people see it in another form.
void to_file(Level level, const std::string& text);

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

}  // namespace troupe::log
