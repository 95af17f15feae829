#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <cstdlib>
#include <memory>
#include <vector>

namespace troupe::log {
namespace {

std::shared_ptr<spdlog::logger>& file_logger() {
  static std::shared_ptr<spdlog::logger> logger;
  return logger;
}

}  // namespace

void set_up(const std::string& name, const std::filesystem::path& file) {
  auto console = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  if (std::getenv("NO_COLOR") != nullptr) console->set_color_mode(spdlog::color_mode::never);
  console->set_pattern("%^%l%$ [%n] %v");
  console->set_level(spdlog::level::info);
  std::vector<spdlog::sink_ptr> sinks{console};
  if (!file.empty()) {
    auto log_file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string());
    log_file->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l [%n] %v");
    file_logger() = std::make_shared<spdlog::logger>(name, log_file);
    file_logger()->flush_on(spdlog::level::info);
    sinks.push_back(std::move(log_file));
  }
  auto logger = std::make_shared<spdlog::logger>(name, sinks.begin(), sinks.end());
  logger->set_level(spdlog::level::debug);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

namespace {
// Before a program sets it up, and in one that never does: spdlog's own default would write among a program's
// results, to stdout.
[[maybe_unused]] const bool is_set_up = (set_up("troupe"), true);
}  // namespace

void to_file(Level level, const std::string& text) {
  if (file_logger()) file_logger()->log(level, "{}", text);
}

}  // namespace troupe::log
