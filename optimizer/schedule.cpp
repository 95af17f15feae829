#include "optimizer/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace troupe::optimizer {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

double half_cosine(double progress) { return 0.5 * (1.0 + std::cos(std::numbers::pi * progress)); }

// From 1 at progress 0 to 0 at progress 1.
double decay(DecayShape shape, double progress) {
  switch (shape) {
    case DecayShape::kLinear:
      return 1.0 - progress;
    case DecayShape::kCosine:
      return half_cosine(progress);
    case DecayShape::kSqrt:
      return 1.0 - std::sqrt(progress);
  }
  return 1.0;
}

double cosine(const ScheduleOptions& options, std::int64_t step, std::int64_t steps) {
  const std::int64_t warmup = length_in_steps(options.warmup, steps);
  const double progress = ratio(step - warmup, steps + 1 - warmup);
  return options.final_ratio + (1.0 - options.final_ratio) * half_cosine(progress);
}

double wsd(const ScheduleOptions& options, std::int64_t step, std::int64_t steps) {
  const std::int64_t length = length_in_steps(options.decay, steps);
  const std::int64_t begin = steps - length;
  if (step <= begin || length == 0) return 1.0;
  const double progress = ratio(step - begin, length + 1);
  return options.final_ratio + (1.0 - options.final_ratio) * decay(options.decay_shape, progress);
}

double multi_step(const ScheduleOptions& options, std::int64_t step, std::int64_t steps) {
  // 1.0 is a part of the run here, where length_in_steps() would take it for a step.
  const auto is_after = [&](double milestone) {
    return milestone < 1.0 && step > length_in_steps(milestone, steps);
  };
  if (is_after(options.milestones[1])) return 0.1;
  return is_after(options.milestones[0]) ? std::sqrt(0.1) : 1.0;
}

}  // namespace

double learning_rate_factor(const ScheduleOptions& options, std::int64_t step, std::int64_t steps) {
  const std::int64_t warmup = length_in_steps(options.warmup, steps);
  if (step < warmup) return ratio(step, warmup);
  switch (options.kind) {
    case ScheduleKind::kConstant:
      return 1.0;
    case ScheduleKind::kCosine:
      return cosine(options, step, steps);
    case ScheduleKind::kWsd:
      return wsd(options, step, steps);
    case ScheduleKind::kMultiStep:
      return multi_step(options, step, steps);
  }
  return 1.0;
}

}  // namespace troupe::optimizer
