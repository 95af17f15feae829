#include "coordinator/recovery/straggler_watch.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace troupe::coordinator {
namespace {

constexpr std::array kPhases{"load", "forward", "router", "backward"};

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  return *middle;
}

double median(const std::deque<double>& values) {
  return median(std::vector<double>(values.begin(), values.end()));
}

void push(std::deque<double>& values, double value) {
  values.push_back(value);
  if (values.size() > StragglerWatch::kSteps) values.pop_front();
}

}  // namespace

StragglerWatch::StragglerWatch(double factor, std::int64_t workers, std::int64_t lanes)
    : factor_(factor), workers_(workers), lanes_(lanes) {}

std::optional<Straggler> StragglerWatch::observe(const comm::StepFinished& step) {
  if (factor_ == 0.0 || workers_ < 2) return std::nullopt;
  Pace& pace = paces_[step.rank];
  remember(step, pace);
  // Once per window: what it says then is of other steps than before.
  if (pace.step_seconds.size() < kSteps || step.step % static_cast<std::int64_t>(kSteps) != 0)
    return std::nullopt;
  for (const auto& [phase, seconds] : pace.seconds)
    pace.medians[phase] = median(seconds) / lanes_of(step.rank);
  pace.step_median = median(pace.step_seconds);
  std::optional<Straggler> slow = compare(step.rank);
  pace.slow_windows = slow ? pace.slow_windows + 1 : 0;
  if (pace.slow_windows < kWindows) slow.reset();
  const auto before = stragglers_.find(step.rank);
  const bool is_news = slow && (before == stragglers_.end() || before->second.phase != slow->phase);
  if (slow) {
    stragglers_[step.rank] = *slow;
  } else {
    stragglers_.erase(step.rank);
  }
  return is_news ? slow : std::nullopt;
}

void StragglerWatch::remember(const comm::StepFinished& step, Pace& pace) const {
  double all = 0.0;
  for (const auto& [phase, seconds] : step.phase_seconds) all += seconds;
  push(pace.step_seconds, all);
  for (const char* phase : kPhases) {
    const auto found = step.phase_seconds.find(phase);
    push(pace.seconds[phase], found == step.phase_seconds.end() ? 0.0 : found->second);
  }
}

std::optional<Straggler> StragglerWatch::compare(std::int64_t rank) const {
  const Pace& own = paces_.at(rank);
  std::optional<Straggler> worst;
  for (const char* phase : kPhases) {
    std::vector<double> others;
    for (const auto& [other, pace] : paces_)
      if (other != rank && !pace.medians.empty()) others.push_back(pace.medians.at(phase));
    if (others.empty()) return std::nullopt;
    const double lanes = lanes_of(rank);
    const Straggler slow{rank, phase, own.medians.at(phase) * lanes, median(std::move(others)) * lanes};
    const double lost = slow.seconds - slow.others_seconds;
    if (slow.seconds <= factor_ * slow.others_seconds || lost < kLeastShare * own.step_median) continue;
    if (!worst || lost > worst->seconds - worst->others_seconds) worst = slow;
  }
  return worst;
}

/// Worker w has the lanes w, w + workers and so on.
double StragglerWatch::lanes_of(std::int64_t rank) const {
  return static_cast<double>(std::max<std::int64_t>(1, (lanes_ - rank + workers_ - 1) / workers_));
}

}  // namespace troupe::coordinator
