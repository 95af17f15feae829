#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "coordinator/job/failure_report.h"

namespace troupe::coordinator {

/// How a run ended.
enum class RunResult {
  kFinished,  // run.steps reached, everything saved
  kStopped,   // stopped early on a request, saved; the same command goes on
  kAborted,   // ended at once on a second signal; nothing was saved
  kFailed,
};

/// What ended the workers of an epoch, for whoever decides whether they are started again.
struct RunFailure {
  FailureKind kind = FailureKind::kWorkerError;
  bool trained = false;         // training had begun in this epoch
  bool stop_requested = false;  // someone had asked for the end of the run before
  bool saved = false;           // the workers' last step, before they ended
  bool operator==(const RunFailure&) const = default;
};

/// The workers' weights are of no use any more: one step after the other was skipped.
struct Divergence {
  std::int64_t updates = 0;      // that the weights have seen: a checkpoint of fewer has older ones
  std::int64_t data_cursor = 0;  // first sequence that has not been tried
  bool operator==(const Divergence&) const = default;
};

/// The end of a run, for the program's exit code and the summary.
struct RunOutcome {
  RunResult result = RunResult::kFailed;
  std::string message;                        // kFailed: what happened, where, and what to do
  std::optional<RunFailure> failure;          // kFailed, where it was the workers' end
  std::optional<Divergence> divergence = {};  // kFailed, where it was the training's; everything is settled
  int signal = 0;                             // kAborted: the signal
  std::int64_t step = 0;                      // last finished step
  std::optional<double> loss;                 // of that step
  std::int64_t tokens = 0;                    // consumed since the run's start
  double seconds = 0.0;                       // since this process began to train
  bool workers_leave = false;                 // they were dismissed, and end by themselves
  std::string checkpoint;  // newest committed by this process, or the one it began from; may be empty
  std::string log_file;    // kFailed, supervised: what the worker job printed,
  std::string log_tail;    // and the end of it
  bool operator==(const RunOutcome&) const = default;
};

/// 0 finished, 75 saved and wants to be started again, 1 failed, 128 + n ended by signal n.
[[nodiscard]] constexpr int exit_code(const RunOutcome& outcome) {
  switch (outcome.result) {
    case RunResult::kFinished:
      return 0;
    case RunResult::kStopped:
      return 75;
    case RunResult::kAborted:
      return 128 + outcome.signal;
    case RunResult::kFailed:
      return 1;
  }
  return 1;
}

}  // namespace troupe::coordinator
