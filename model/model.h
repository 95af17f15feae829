#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "layout/layout.h"
#include "layout/options.h"
#include "model/options.h"
#include "model/transformer.h"
#include "model/worker_groups.h"
#include "tensor/parameter.h"
#include "tensor/profile.h"

namespace troupe::model {

/// Which model, and how one worker computes with it.
struct ModelSetup {
  ModelOptions options;
  TransformerShape shape;
  layout::DispatchOptions dispatch = {};
  std::uint64_t seed = 1;              // of the run: initial values, and the draws of its routers
  int threads = 1;                     // of this worker
  bool profile_ops = false;            // profile() counts ops too
  Accelerator* accelerator = nullptr;  // where it computes, of this worker; null: on the host
};

/// A model as one worker holds it: its parameters' values, the balance bias, and the transformer that
/// computes with them. Neither gradients nor an optimizer: training, evaluation and generation borrow it.
/// Used from the compute thread.
class Model {
 public:
  /// All values and the bias are 0: initialize(), or fill them from a checkpoint. Collective over `world`,
  /// which must outlive the model, as must the clock.
  Model(const ModelSetup& setup, layout::Layout layout, comm::Communicator& world, const Clock& clock);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  /// Initial values: a pure function of options and seed, the same for every layout.
  void initialize();

  [[nodiscard]] const ModelOptions& options() const { return setup_.options; }
  [[nodiscard]] const TransformerShape& shape() const { return setup_.shape; }
  [[nodiscard]] std::uint64_t seed() const { return setup_.seed; }
  [[nodiscard]] const layout::Layout& layout() const { return layout_; }
  [[nodiscard]] const WorkerGroups& groups() const { return groups_; }
  [[nodiscard]] comm::Communicator& world() const { return groups_.world; }
  [[nodiscard]] int rank() const { return groups_.world.rank(); }

  /// Every parameter of the whole model.
  [[nodiscard]] const std::vector<ParameterSpec>& specs() const { return specs_; }
  /// What the buffers below are laid out by: the whole dense part, and this worker's experts.
  [[nodiscard]] const ParameterTable& dense_table() const { return dense_table_; }
  [[nodiscard]] const ParameterTable& expert_table() const { return expert_table_; }
  [[nodiscard]] TensorView dense_buffer() { return dense_values_; }
  [[nodiscard]] ConstTensorView dense_buffer() const { return dense_values_; }
  [[nodiscard]] TensorView expert_buffer() { return expert_values_; }
  [[nodiscard]] ConstTensorView expert_buffer() const { return expert_values_; }
  /// The same on the host; not of a model on a device.
  [[nodiscard]] std::span<float> dense_values() { return dense_values_.floats(); }
  [[nodiscard]] std::span<const float> dense_values() const { return dense_values_.floats(); }
  [[nodiscard]] std::span<float> expert_values() { return expert_values_.floats(); }
  [[nodiscard]] std::span<const float> expert_values() const { return expert_values_.floats(); }
  [[nodiscard]] Weights weights() const { return {.dense = dense_values_, .experts = expert_values_}; }

  /// [moe layers, choices], balance bias; zero-compute experts have none.
  [[nodiscard]] std::span<float> bias() { return bias_; }
  [[nodiscard]] std::span<const float> bias() const { return bias_; }
  /// Of one layer with experts: its routed experts'.
  [[nodiscard]] std::span<float> bias(std::size_t moe_layer);

  /// For forward passes that change nothing.
  [[nodiscard]] StepContext frozen_context() const;
  [[nodiscard]] Transformer& transformer() { return *transformer_; }
  [[nodiscard]] const Execution& execution() const { return execution_; }
  /// Where the buffers are; null: on the host.
  [[nodiscard]] Accelerator* accelerator() const { return setup_.accelerator; }
  [[nodiscard]] Profile& profile() { return profile_; }
  [[nodiscard]] const Profile& profile() const { return profile_; }

  /// Experts of another placement, laid out by `experts`; the layouts differ in nothing else. The transformer
  /// is another one afterwards.
  void place(layout::Layout layout, ParameterTable experts, Tensor expert_values);

 private:
  [[nodiscard]] std::unique_ptr<Transformer> make_transformer() const;

  ModelSetup setup_;
  layout::Layout layout_;
  Profile profile_;
  Execution execution_;
  WorkerGroups groups_;
  std::vector<ParameterSpec> specs_;
  ParameterTable dense_table_;
  ParameterTable expert_table_;
  Tensor dense_values_;  // flat, as the next
  Tensor expert_values_;
  std::vector<float> bias_;
  std::unique_ptr<Transformer> transformer_;
};

/// What a worker holds of a model's experts.
///   specs: of the whole model
[[nodiscard]] ParameterTable local_experts(const std::vector<ParameterSpec>& specs,
                                           const ModelOptions& options, const layout::Layout& layout,
                                           int worker);

}  // namespace troupe::model
