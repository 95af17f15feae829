#pragma once
#include <memory>
#include <optional>
#include <string>

#include "experts/dispatch/dispatch_plan.h"
#include "experts/dispatch/slot_weights.h"
#include "experts/dispatch/zero_experts.h"
#include "experts/expert_group.h"
#include "experts/ffn/expert_ffn.h"
#include "experts/ffn/shared_experts.h"
#include "experts/router/router.h"

namespace troupe::experts {

/// Router, routed experts on all workers of the group, shared experts here. All methods are collective
/// over the group; zero tokens and zero-token experts are legal. When the plan cuts the exchange into
/// chunks, what the experts received and computed is not kept: backward has the rows sent again and
/// computes them again, chunk by chunk.
class MoeLayer {
 public:
  struct Saved {
    explicit Saved(DispatchPlan empty_plan) : plan(std::move(empty_plan)) {}
    DispatchPlan plan;
    RoutingResult routing;
    ExpertFfn::Saved experts;  // when there is one chunk
    TensorView returned;       // [rows_sent, hidden], outputs for this worker's tokens
    SharedExperts::Saved shared;
  };

  /// Parameters of all experts; memory of a worker with these rows. moe_layer: index among the layers with
  /// experts.
  static void declare(layers::Declaration& declaration, const MoeOptions& options,
                      const layers::FfnForm& form, std::int64_t hidden_size, std::int64_t moe_layer,
                      const RoutedRows& rows);

  /// dropout: rate, of what activations make. layer: index among all layers of the model; prefix:
  /// "layers/03/". The tables and the exchange, which all layers share, must outlive it.
  MoeLayer(const MoeOptions& options, const layers::FfnForm& form, std::int64_t layer,
           const std::string& prefix, const ParameterTable& dense, const ParameterTable& experts,
           const ExpertGroup& group, Exchange& exchange, double dropout = 0.0);

  [[nodiscard]] Saved make_saved() const { return Saved(DispatchPlan(group_, exchange_, layer_)); }

  /// y = (((weighted outputs, slots in order) + shared experts) + zero-compute experts) * output_scale.
  /// x, y: [tokens, hidden], y overwritten
  /// step: of this layer; load: overwritten
  void forward(const Pass& pass, ConstTensorView x, const StepContext& step,
               const layout::LayerStatistics& load, Saved& saved, TensorView y) const;

  /// dx = shared experts + slots in order + zero-compute experts + router, added in this order; the losses of
  /// `sums` are overwritten.  dy, x, dx: [tokens, hidden], dx overwritten
  void backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const StepContext& step,
                const RouterSums& sums, Saved& saved, TensorView dx) const;

 private:
  void backward_scaled(const Pass& pass, ConstTensorView dy, ConstTensorView x, const StepContext& step,
                       const RouterSums& sums, Saved& saved, TensorView dx) const;
  static void declare_exchange(layers::Declaration& declaration, std::int64_t hidden_size,
                               const RoutedRows& rows);
  [[nodiscard]] comm::Pending start_to_experts(const Pass& pass, ConstTensorView x, const Saved& saved,
                                               const DispatchChunk& chunk, TensorView received) const;
  void compute_chunk(const Pass& pass, ConstTensorView x, const Saved& saved, const DispatchChunk& chunk,
                     TensorView shared_output) const;
  void backward_experts(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                        TensorView doutputs, TensorView dinputs, TensorView dx) const;
  void backward_chunk(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                      const DispatchChunk& chunk, TensorView doutputs, TensorView dinputs,
                      TensorView dx) const;
  [[nodiscard]] ExpertFfn::Saved receive_again(const Pass& pass, ConstTensorView x, const Saved& saved,
                                               const DispatchChunk& chunk, TensorView scratch) const;
  /// What the other side of an exchange with `mine` sees: `mine` itself where nothing moves.
  [[nodiscard]] TensorView other_side(const Pass& pass, TensorView mine, std::int64_t rows) const;

  ExpertGroup group_;
  Exchange& exchange_;
  std::int64_t layer_;
  float output_scale_;
  Router router_;
  std::unique_ptr<SlotWeights> slot_weights_;
  ExpertFfn experts_;
  std::optional<SharedExperts> shared_;
  std::optional<ZeroExperts> zero_experts_;
};

}  // namespace troupe::experts
