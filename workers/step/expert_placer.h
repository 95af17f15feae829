#pragma once
#include <cstdint>

#include "layout/load_counts.h"
#include "workers/step/trainer.h"

namespace troupe::workers {

/// `parallel.placement: balanced`: every `every` steps, packs the experts by the load of the steps since the
/// last time and moves those for which it pays. Every worker decides alike, from the same global counts, so
/// nothing needs to be agreed upon (docs/decisions/0005-workers-decide-where-experts-are.md). The placement
/// changes no bit of the run and is not in checkpoints: a resumed run starts with contiguous experts.
class ExpertPlacer {
 public:
  /// every: steps; 0: experts stay. The trainer must outlive the placer.
  ExpertPlacer(Trainer& trainer, std::int64_t every);

  /// Between this step and the next. Collective over all workers.
  void after(const StepResult& step);

 private:
  void place(std::int64_t step);

  Trainer& trainer_;
  std::int64_t every_;
  layout::LoadCounts window_;  // summed since the last decision
};

}  // namespace troupe::workers
