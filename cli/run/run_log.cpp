#include "cli/run/run_log.h"

#include <fmt/format.h>

#include "base/log.h"

namespace troupe::cli {
namespace {

log::Level level_of(coordinator::Severity severity) {
  switch (severity) {
    case coordinator::Severity::kInfo:
      return log::Level::info;
    case coordinator::Severity::kWarning:
      return log::Level::warn;
    case coordinator::Severity::kError:
      return log::Level::err;
  }
  return log::Level::info;
}

}  // namespace

void RunLog::state_changed(coordinator::RunState state) {
  log::to_file(log::Level::info, fmt::format("the run is {}", coordinator::to_string(state)));
}

void RunLog::checkpoint_settled(const coordinator::CheckpointView& checkpoint) {
  if (checkpoint.error.empty()) {
    log::to_file(log::Level::info, fmt::format("step {}: checkpoint {}", checkpoint.step, checkpoint.path));
  } else {
    log::to_file(log::Level::warn, fmt::format("the checkpoint of step {} could not be written: {}",
                                               checkpoint.step, checkpoint.error));
  }
}

void RunLog::note(coordinator::Severity severity, const std::string& text) {
  log::to_file(level_of(severity), text);
}

void RunLog::ended(const coordinator::RunOutcome& outcome) {
  const bool failed = outcome.result == coordinator::RunResult::kFailed;
  const std::string reason = outcome.message.empty() ? "" : ": " + outcome.message;
  log::to_file(failed ? log::Level::err : log::Level::info,
               fmt::format("exit code {} at step {}{}", exit_code(outcome), outcome.step, reason));
}

}  // namespace troupe::cli
