#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "comm/collectives/lane_reduction.h"
#include "data/windows.h"
#include "layout/layout.h"
#include "model/transformer.h"
#include "optimizer/chunk_sums.h"
#include "tensor/profile.h"
#include "workers/step/batch_loader.h"
#include "workers/step/partition.h"
#include "workers/step/step_exchange.h"
#include "workers/step/training_state.h"
#include "workers/step/worker_groups.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// What one training step yields; the same on every worker, but for seconds.
struct StepResult {
  std::int64_t step = 0;
  bool skipped = false;                // a value was not finite: the state did not change
  double loss = 0.0;                   // everything that was minimised
  double loss_lm = 0.0;                // nats per predicted token
  double loss_z = 0.0;                 // mean log²Z, without its coefficient
  std::vector<double> aux_loss;        // [aux losses], mean over layers, without coefficient; 1 = balanced
  double router_z_loss = 0.0;          // mean over layers, without its coefficient
  std::vector<double> layer_aux_loss;  // [moe layers, aux losses], as aux_loss
  std::vector<double> layer_router_z;  // [moe layers], as router_z_loss
  double grad_norm = 0.0;
  double learning_rate = 0.0;
  layout::LoadStatistics load;  // global
  ControlWord control;          // of all workers
  PhaseSeconds seconds{};       // of this worker
};

/// One worker's part of training: a step, followed from the batch to the new weights. Orders of
/// summation: docs/architecture.md, "Layout invariance". Used from the compute thread; every method
/// is collective over all workers.
class Trainer {
 public:
  /// The references must outlive the trainer.
  Trainer(const TrainingOptions& options, const layout::Layout& layout, comm::Communicator& world,
          const data::TokenDataset& dataset, const data::SequenceOrder& order, const Clock& clock);

  /// One global batch: forward, backward, reduce, update, balance. Valid until the next call.
  /// tapes: [turns, waves], of this worker's microbatches; empty: nothing is recorded or followed
  const StepResult& step(const ControlWord& control, std::span<const experts::RoutingTape> tapes = {});

  [[nodiscard]] TrainingState& state() { return state_; }
  [[nodiscard]] const TrainingState& state() const { return state_; }
  [[nodiscard]] const Partition& partition() const { return partition_; }
  [[nodiscard]] const layout::Layout& layout() const { return layout_; }
  [[nodiscard]] WorkerGroups& groups() { return groups_; }
  [[nodiscard]] model::Transformer& model() { return *model_; }
  /// Of the last step; ops where options().profile_ops.
  [[nodiscard]] const Profile& profile() const { return profile_; }
  [[nodiscard]] const TrainingOptions& options() const { return options_; }
  [[nodiscard]] model::Weights weights() const { return {state_.dense_values, state_.expert_values}; }
  /// Moves experts to other workers of their groups, with their optimizer state; no bit of the run changes.
  /// Between two steps; rebuilds what depends on the placement, the model() too. placement: [MoE layers]
  /// Returns the bytes that travelled, of all workers. Throws kConfig for a placement that does not fit.
  std::int64_t place_experts(layout::Placement placement);
  /// For forward passes that change no state: bias and counts as they stand.
  [[nodiscard]] model::StepContext frozen_context() const;

 private:
  [[nodiscard]] std::unique_ptr<model::Transformer> make_model() const;
  // Fp64 values of one microbatch that are summed in (turn, lane) order.
  [[nodiscard]] std::int64_t values_per_microbatch() const;
  [[nodiscard]] model::StepContext step_context();
  void run_microbatches(const model::StepContext& context, std::span<const experts::RoutingTape> tapes);
  void run_microbatch(int turn, int wave, const model::StepContext& context,
                      const experts::RoutingTape& tape);
  /// Counts of the completed turns, of all workers: collective.
  void sum_turns();
  void set_wave(int wave);
  void record(int turn, int lane);
  void reduce_gradients();
  void exchange(const ControlWord& control);
  void sum_losses(std::int64_t target_tokens);
  [[nodiscard]] bool finite() const;
  void update();
  void gather_weights();

  TrainingOptions options_;
  layout::Layout layout_;
  Profile profile_;
  Execution execution_;
  WorkerGroups groups_;
  Partition partition_;
  TrainingState state_;
  BatchLoader loader_;
  int domains_;  // by which the load is counted; 0: not
  std::unique_ptr<model::Transformer> model_;
  model::MicrobatchResult result_;
  optimizer::ChunkSums chunk_sums_;
  StepExchange exchange_;
  StepResult step_;

  // Gradients. A lane's buffer is complete after its last turn; with one turn it is the microbatch's.
  std::vector<std::vector<float>> dense_lanes_;
  std::vector<float> microbatch_gradient_;  // where it is not a lane's; may be empty
  std::vector<std::vector<float>> expert_lanes_;
  std::vector<std::span<float>> expert_lane_views_;
  comm::LaneReduction dense_reduction_;
  comm::LaneReduction expert_reduction_;
  std::vector<std::span<const float>> dense_reduced_;  // the lanes above, as reductions read them
  std::vector<std::span<const float>> expert_reduced_;
  std::span<const float> dense_total_;  // of the owned slice, of the current step
  std::span<const float> expert_total_;
  std::vector<float> reduce_scratch_;
  std::vector<int> lane_of_source_;        // [group size], of the current wave
  std::vector<double> aux_coefficients_;   // of the current step
  std::vector<std::int64_t> turn_counts_;  // counts, then unbiased, of completed turns; empty: not needed
  std::vector<double> chunk_values_;
};

}  // namespace troupe::workers
