#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "data/windows.h"
#include "model/model.h"
#include "workers/step/batch_counts.h"
#include "workers/step/batch_loader.h"
#include "workers/step/gradient_lanes.h"
#include "workers/step/gradient_norm.h"
#include "workers/step/loss_sums.h"
#include "workers/step/slice_gathering.h"
#include "workers/step/step_exchange.h"
#include "workers/step/step_result.h"
#include "workers/step/training_state.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// Asked at the end of a step, so that what arrives while it is computed counts at its boundary. Empty:
/// nothing is wanted.
using ControlSource = std::function<ControlWord()>;

/// One worker's part of training a model: a step, followed from the batch to the new weights. Orders of
/// summation: docs/architecture.md, "Layout invariance". Used from the compute thread; every method
/// is collective over all workers.
class Trainer {
 public:
  /// The model is at its initial values, or those of a checkpoint are put into it and into state() before
  /// the first step. The references must outlive the trainer.
  Trainer(const TrainingOptions& options, model::Model& model, const data::TokenDataset& dataset,
          const data::SequenceOrder& order);
  /// The same, of batches from a loader.
  Trainer(const TrainingOptions& options, model::Model& model, BatchLoader loader);

  /// One global batch: forward, backward, reduce, update, balance. Valid until the next call.
  /// tapes: [accumulation steps, waves], of this worker's microbatches; empty: nothing is recorded or
  /// followed
  const StepResult& step(const ControlSource& control, std::span<const experts::RoutingTape> tapes = {});

  [[nodiscard]] TrainingState& state() { return state_; }
  [[nodiscard]] const TrainingState& state() const { return state_; }
  [[nodiscard]] model::Model& model() { return model_; }
  [[nodiscard]] const model::Model& model() const { return model_; }
  [[nodiscard]] const TrainingOptions& options() const { return options_; }
  /// Moves experts to other workers of their groups, with their optimizer state; no bit of the run changes.
  /// Between two steps; rebuilds what depends on the placement, the model's transformer too.
  /// placement: [MoE layers]
  /// Returns the bytes that travelled, of all workers. Throws kConfig for a placement that does not fit.
  std::int64_t place_experts(layout::Placement placement);

 private:
  /// One of this worker's microbatches; those of a step are numbered by accumulation step, then wave.
  struct Place {
    int accumulation_step;
    int wave;
    int lane;  // -1: none is left for this worker
  };
  [[nodiscard]] Place place(std::int64_t index) const;

  [[nodiscard]] model::StepContext step_context();
  void run_microbatches(model::StepContext& context, std::span<const experts::RoutingTape> tapes);
  /// Forward of microbatches [begin, end), then backward of each, once their load is known.
  void run_together(std::int64_t begin, std::int64_t end, model::StepContext& context,
                    std::span<const experts::RoutingTape> tapes);
  void forward(std::int64_t index, bool held, const model::StepContext& context);
  void forward_again(std::int64_t index, const model::StepContext& context);
  void backward(std::int64_t index, std::size_t held, const model::StepContext& context);
  [[nodiscard]] MicrobatchInput load(const Place& place);
  void exchange(const ControlWord& control);
  /// Why the step must not change the state; empty: nothing speaks against it. Collective.
  [[nodiscard]] std::string skip_reason();
  void update();
  void gather_weights();

  TrainingOptions options_;
  model::Model& model_;
  TrainingState state_;
  BatchLoader loader_;
  model::MicrobatchResult result_;
  GradientLanes gradients_;
  SliceGathering weights_here_;
  LossSums losses_;
  GradientNorm norm_;
  StepExchange exchange_;
  StepResult step_;
  BatchCounts counts_;
  std::vector<double> aux_coefficients_;  // of the current step
};

}  // namespace troupe::workers
