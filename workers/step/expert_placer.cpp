#include "workers/step/expert_placer.h"

#include <algorithm>
#include <functional>

#include "base/index.h"
#include "base/log.h"
#include "layout/placement_plan.h"
#include "model/parameters.h"

namespace troupe::workers {

ExpertPlacer::ExpertPlacer(Trainer& trainer, std::int64_t every)
    : trainer_(trainer), every_(every), window_(trainer.state().previous_counts) {
  std::ranges::fill(window_.all(), 0);
  if (every_ == 0 || (trainer.model().layout().expert_parallel() > 1 && window_.layers() > 0)) return;
  every_ = 0;
  if (trainer.model().rank() == 0)
    log::info("placement: balanced has nothing to place: every worker holds all experts");
}

void ExpertPlacer::after(const StepResult& step) {
  if (every_ == 0) return;
  if (!step.skipped)
    std::ranges::transform(window_.all(), step.load.counts.all(), window_.all().begin(), std::plus<>());
  if (step.step % every_ != 0 || step.step >= trainer_.options().steps) return;
  place(step.step);
  std::ranges::fill(window_.all(), 0);
}

void ExpertPlacer::place(std::int64_t step) {
  const auto layers = at(window_.layers());
  const layout::PlacementPlan plan = plan_placement(trainer_.model().layout().placements(layers), window_);
  if (plan.moved_experts() == 0) return;
  const std::int64_t bytes = trainer_.place_experts(plan.placement);
  if (trainer_.model().rank() != 0) return;
  log::info(
      "step {}: experts placed by load: {} experts of {} layers, {:.1f} MiB moved; busiest worker {:.2f} -> "
      "{:.2f} times the mean",
      step, plan.moved_experts(), plan.moved_layers(), static_cast<double>(bytes) / (1 << 20),
      plan.imbalance_before(), plan.imbalance_after());
}

}  // namespace troupe::workers
