#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "base/clock.h"
#include "coordinator/options.h"
#include "coordinator/run/outcome.h"

namespace troupe::coordinator {

/// Start the workers again.
struct Restart {
  std::int64_t number = 0;  // of this run's process, from 1
  std::int64_t workers = 0;
  Duration delay{};
  bool operator==(const Restart&) const = default;
};

/// The run ends: with its failure, or, where nothing of it is lost and others start it again, as stopped.
struct NoRestart {
  std::string reason;  // what to add to the failure's message; empty: nothing
  RunResult result = RunResult::kFailed;
  bool operator==(const NoRestart&) const = default;
};

/// Decides, failure by failure, whether the workers of a run are started again, and how many. Pure: it knows
/// neither processes nor checkpoints.
///
/// Without any restarts allowed, workers that saved before they ended have stopped the run.
/// What only a person can change is never tried again: a configuration that workers refuse (values that are
/// not finite too), a first start in which nothing was killed, whatever comes after a request to stop. What
/// happens again and again without a new step is given up, and so is a run that fails all the time. When the
/// workers cannot even be started twice in a row, fewer are tried; so are they when one computes wrong
/// numbers.
class RestartPolicy {
 public:
  /// The next smaller number of workers that can compute the run, if any.
  using Fewer = std::function<std::optional<std::int64_t>(std::int64_t workers)>;

  RestartPolicy(const ElasticOptions& options, std::int64_t workers, Fewer fewer);

  /// After a run's outcome kFailed; now: of any clock that only rises.
  [[nodiscard]] std::variant<Restart, NoRestart> decide(const RunOutcome& outcome, TimePoint now);

  /// The run itself went back to this step: what is done again is new.
  void went_back(std::int64_t step);

 private:
  [[nodiscard]] bool may_help(const RunFailure& failure) const;
  void count(const RunFailure& failure, std::int64_t step);
  void forget_before(TimePoint begin);
  [[nodiscard]] bool shrink();
  [[nodiscard]] Duration delay() const;

  ElasticOptions options_;
  std::int64_t workers_;
  Fewer fewer_;
  std::int64_t restarts_ = 0;
  std::deque<TimePoint> recent_;  // restarts within the window
  std::int64_t newest_step_ = -1;
  std::int64_t failures_there_ = 0;  // since newest_step_ was new
  std::int64_t failed_starts_ = 0;   // in a row
};

}  // namespace troupe::coordinator
