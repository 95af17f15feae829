#pragma once
#include <cstdint>
#include <vector>

#include "comm/control/messages/messages.h"
#include "layout/load_statistics.h"
#include "workers/evaluator.h"
#include "workers/step/trainer.h"

namespace troupe::workers {

/// Of every layer with experts: counts, the model's bias, what zero-compute experts took, drops.
[[nodiscard]] std::vector<comm::LayerLoad> layer_loads(const layout::LoadStatistics& load,
                                                       const model::Model& model);

/// What an evaluation says, with its load by domain where that was counted: of a run's evaluations and of
/// `troupe eval` alike. step: of the weights
[[nodiscard]] comm::EvaluationFinished evaluation_report(std::int64_t step, const EvaluationResult& result,
                                                         const model::Model& model);

/// What a worker tells the coordinator of its steps and evaluations. Worker 0 tells what is the same on all;
/// the others only their own times. Used from the compute thread.
class StepReports {
 public:
  /// The trainer must outlive it. peak_flops: of all workers together, FLOP/s; what MFU refers to.
  StepReports(const Trainer& trainer, double peak_flops) : trainer_(trainer), peak_flops_(peak_flops) {}

  /// Of the trainer's last step. Once for each step. saved: a checkpoint follows, or the run ends
  [[nodiscard]] comm::StepFinished step(const StepResult& result, bool saved);
  [[nodiscard]] comm::EvaluationFinished evaluation(std::int64_t step, const EvaluationResult& result) const {
    return evaluation_report(step, result, trainer_.model());
  }

 private:
  void add_shares(const StepResult& result, bool saved, std::vector<comm::LayerLoad>& loads);

  /// Fraction of the peak that the step's products took.
  [[nodiscard]] double mfu(double step_seconds) const;

  const Trainer& trainer_;
  double peak_flops_;
  layout::LoadStatistics untold_;  // domains and co-activation of the steps since they were last told
};

}  // namespace troupe::workers
