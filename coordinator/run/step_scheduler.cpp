#include "coordinator/run/step_scheduler.h"

#include <algorithm>

namespace troupe::coordinator {
namespace {

bool is_multiple(std::int64_t step, std::int64_t every) { return every > 0 && step > 0 && step % every == 0; }

}  // namespace

std::int64_t StepScheduler::first_boundary(std::int64_t step, bool evaluated) const {
  const bool is_done = step > 0 && (evaluated || !evaluates(step));
  return is_done ? step + 1 : step;
}

bool StepScheduler::evaluates(std::int64_t step) const {
  return evaluates_fully(step) || is_multiple(step, options_.evaluation.every);
}

comm::StepPlan StepScheduler::plan(std::int64_t version, std::int64_t first_step) const {
  comm::StepPlan plan;
  plan.version = version;
  plan.first_step = first_step;
  plan.last_step = std::min(first_step + options_.plan_steps, options_.run.steps);
  for (std::int64_t step = plan.first_step; step <= plan.last_step; ++step) add_events(plan, step);
  const auto stop_after = options_.run.stop_after;
  if (stop_after && *stop_after < options_.run.steps) plan.stop_after = *stop_after;
  return plan;
}

void StepScheduler::add_events(comm::StepPlan& plan, std::int64_t step) const {
  const bool is_last = step == options_.run.steps;
  if (evaluates(step)) (evaluates_fully(step) ? plan.evaluate_fully : plan.evaluate).push_back(step);
  const bool samples = options_.sampling.every > 0;
  if (samples && (is_last || is_multiple(step, options_.sampling.every))) plan.sample.push_back(step);
  if (is_last || is_multiple(step, options_.checkpoint.every)) plan.save.push_back(step);
}

bool StepScheduler::renewal_due(const comm::StepPlan& plan, std::int64_t step) const {
  return plan.last_step < options_.run.steps && plan.last_step - step <= options_.plan_steps / 2;
}

}  // namespace troupe::coordinator
