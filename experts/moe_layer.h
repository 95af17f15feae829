#pragma once
#include <optional>
#include <string>

#include "experts/dispatch/dispatch_plan.h"
#include "experts/expert_group.h"
#include "experts/ffn/expert_ffn.h"
#include "experts/ffn/shared_experts.h"
#include "experts/router/router.h"

namespace troupe::experts {

/// Router, routed experts on all workers of the group, shared experts here. All methods are collective
/// over the group; zero tokens and zero-token experts are legal.
class MoeLayer {
 public:
  struct Saved {
    explicit Saved(const DispatchPlan& empty_plan) : plan(empty_plan) {}
    DispatchPlan plan;
    RoutingResult routing;
    TensorView received;  // [rows_received, hidden], inputs of this worker's experts
    ExpertFfn::Saved experts;
    TensorView returned;  // [rows_sent, hidden], outputs for this worker's tokens
    SharedExperts::Saved shared;
  };

  /// layer: index among all layers of the model; prefix: "layers/03/".
  MoeLayer(const MoeOptions& options, const FfnForm& form, std::int64_t layer, const std::string& prefix,
           const ParameterTable& dense, const ParameterTable& experts, const ExpertGroup& group);

  [[nodiscard]] Saved make_saved() const { return Saved(DispatchPlan(group_, layer_)); }

  /// y = (weighted outputs, slots in order) + shared experts.  x, y: [tokens, hidden], y overwritten
  void forward(const Pass& pass, ConstTensorView x, const RouterStep& step, const RouterSums& sums,
               Saved& saved, TensorView y);

  /// dx = shared experts + slots in order + router, added in this order; `load` is what forward counted.
  /// dy, x, dx: [tokens, hidden], dx overwritten
  void backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const RouterStep& step,
                const layout::LayerStatistics& load, Saved& saved, TensorView dx) const;

 private:
  void allocate_saved(const Pass& pass, ConstTensorView x, Saved& saved) const;
  void compute_outputs(const Pass& pass, ConstTensorView x, Saved& saved, TensorView shared_output) const;
  void backward_experts(const Pass& pass, ConstTensorView dy, ConstTensorView x, Saved& saved,
                        TensorView drouted, TensorView dx) const;
  /// What the other side of an exchange with `mine` sees: `mine` itself in a group of one.
  [[nodiscard]] TensorView other_side(const Pass& pass, TensorView mine, std::int64_t rows) const;

  ExpertGroup group_;
  std::int64_t layer_;
  Router router_;
  ExpertFfn experts_;
  std::optional<SharedExperts> shared_;
};

}  // namespace troupe::experts
