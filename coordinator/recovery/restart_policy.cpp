#include "coordinator/recovery/restart_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/counted.h"

namespace troupe::coordinator {
namespace {

constexpr std::int64_t kFailedStarts = 2;  // then fewer workers are tried
constexpr std::int64_t kMostDoublings = 6;

Duration duration_of(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

RestartPolicy::RestartPolicy(const ElasticOptions& options, std::int64_t workers, Fewer fewer)
    : options_(options), workers_(workers), fewer_(std::move(fewer)) {}

std::variant<Restart, NoRestart> RestartPolicy::decide(const RunOutcome& outcome, TimePoint now) {
  if (!outcome.failure || !may_help(*outcome.failure)) return NoRestart{};
  if (options_.max_restarts == 0)
    return NoRestart{{}, outcome.failure->saved ? RunResult::kStopped : RunResult::kFailed};
  count(*outcome.failure, outcome.step);
  if (outcome.failure->kind == FailureKind::kDeviates)
    static_cast<void>(shrink());  // without the one that deviates
  if (failed_starts_ >= kFailedStarts && shrink()) failed_starts_ = failures_there_ = 0;
  if (failures_there_ >= options_.max_failures_per_step) {
    return NoRestart{
        fmt::format("this was failure {} without a step after step {}: the run is given up "
                    "(elastic.max_failures_per_step)",
                    failures_there_, std::max<std::int64_t>(newest_step_, 0))};
  }
  forget_before(now - duration_of(options_.window_seconds));
  if (std::ssize(recent_) >= options_.max_restarts) {
    return NoRestart{
        fmt::format("the workers were started again {} within {:.0f} s: the run is given up "
                    "(elastic.max_restarts)",
                    counted(std::ssize(recent_), "time"), options_.window_seconds)};
  }
  recent_.push_back(now);
  return Restart{++restarts_, workers_, delay()};
}

void RestartPolicy::went_back(std::int64_t step) {
  newest_step_ = std::min(newest_step_, step);
  failures_there_ = 0;
}

bool RestartPolicy::may_help(const RunFailure& failure) const {
  if (failure.stop_requested) return false;
  if (failure.kind == FailureKind::kImpossible || failure.kind == FailureKind::kRefusal) return false;
  // The first start has not shown yet that this configuration can be started here at all.
  const bool was_loss = failure.kind == FailureKind::kWorkerGone || failure.kind == FailureKind::kPeerLost ||
                        failure.kind == FailureKind::kJobKilled;
  return failure.trained || restarts_ > 0 || was_loss;
}

void RestartPolicy::count(const RunFailure& failure, std::int64_t step) {
  failed_starts_ = failure.trained ? 0 : failed_starts_ + 1;
  const bool is_new = step > newest_step_;
  newest_step_ = std::max(newest_step_, step);
  failures_there_ = is_new ? 1 : failures_there_ + 1;
}

bool RestartPolicy::shrink() {
  const auto fewer = fewer_(workers_);
  if (!fewer || *fewer < options_.min_workers) return false;
  workers_ = *fewer;
  return true;
}

void RestartPolicy::forget_before(TimePoint begin) {
  while (!recent_.empty() && recent_.front() < begin) recent_.pop_front();
}

Duration RestartPolicy::delay() const {
  if (failures_there_ <= 1) return {};
  const std::int64_t doublings = std::min(failures_there_ - 2, kMostDoublings);
  return duration_of(options_.backoff_seconds * static_cast<double>(std::int64_t{1} << doublings));
}

}  // namespace troupe::coordinator
