#pragma once
#include <cstdint>
#include <vector>

#include "comm/control/messages/messages.h"
#include "layout/load_statistics.h"
#include "workers/evaluator.h"
#include "workers/step/trainer.h"

namespace troupe::workers {

/// What a worker tells the coordinator of its steps and evaluations. Worker 0 tells what is the same on all;
/// the others only their own times. Used from the compute thread.
class StepReports {
 public:
  /// The trainer must outlive it. peak_flops: of all workers together, FLOP/s; what MFU refers to.
  StepReports(const Trainer& trainer, double peak_flops) : trainer_(trainer), peak_flops_(peak_flops) {}

  /// Of the trainer's last step. Once for each step. saved: a checkpoint follows, or the run ends
  [[nodiscard]] comm::StepFinished step(const StepResult& result, bool saved);
  [[nodiscard]] comm::EvaluationFinished evaluation(std::int64_t step, const EvaluationResult& result) const;

 private:
  [[nodiscard]] std::vector<comm::LayerLoad> loads(const layout::LoadStatistics& load) const;
  void add_shares(const StepResult& result, bool saved, std::vector<comm::LayerLoad>& loads);

  /// Fraction of the peak that the step's products took.
  [[nodiscard]] double mfu(double step_seconds) const;

  const Trainer& trainer_;
  double peak_flops_;
  layout::LoadStatistics untold_;  // domains and co-activation of the steps since they were last told
};

}  // namespace troupe::workers
