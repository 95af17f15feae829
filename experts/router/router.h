#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "experts/aux_loss/aux_loss.h"
#include "experts/options.h"
#include "experts/router/router_logits.h"
#include "experts/router/routing.h"
#include "experts/router/score.h"
#include "experts/router/selector.h"
#include "experts/router/step_context.h"
#include "experts/router/weights.h"
#include "layers/pass.h"
#include "layout/load_statistics.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// Load and losses of one layer and microbatch, overwritten: the load by forward, the losses by backward.
/// Losses are sums over tokens without coefficients.
struct RouterSums {
  layout::LayerStatistics load;
  std::span<double> aux_loss;  // [aux losses]
  double* z_loss = nullptr;    // Σ_t logsumexp(z_t)²
};

/// Logits → scores → selection → weights, and the load that comes of it. By default top-k on s + b (ties
/// to the lower expert id), weights from s (arXiv 2408.15664, 2412.19437); with softmax_after_topk top-k
/// on z + b, weights from z. fp32 throughout. One per MoE layer.
class Router {
 public:
  static void declare(layers::Declaration& declaration, const MoeOptions& options, std::int64_t hidden_size);

  /// layer: of the model; prefix: "layers/03/"; parameters: see RouterLogits.
  Router(const MoeOptions& options, std::int64_t layer, const ParameterTable& table,
         const std::string& prefix);

  /// x: [tokens, hidden]; step: of this layer, as everywhere below
  [[nodiscard]] RoutingResult forward(const Pass& pass, ConstTensorView x, const StepContext& step,
                                      const layout::LayerStatistics& load) const;

  /// Gradient of the loss through the weights, of the auxiliary losses and of the z-loss, and these losses.
  ///   dweights: [tokens, slots], added to; dx: [tokens, hidden], added to
  void backward(const Pass& pass, ConstTensorView x, const StepContext& step, const RoutingResult& routing,
                const RouterSums& sums, TensorView dweights, TensorView dx) const;

 private:
  [[nodiscard]] RoutingResult forward_on_device(const Pass& pass, ops::DeviceOps& device, ConstTensorView x,
                                                const StepContext& step,
                                                const layout::LayerStatistics& load) const;
  void count_on_device(const Pass& pass, ConstTensorView counts, RoutingResult& routing,
                       const layout::LayerStatistics& load) const;
  void follow(const Pass& pass, const RoutingTape& tape, const RoutingResult& routing) const;
  void score_token(const RoutingResult& routing, std::int64_t token) const;
  void weigh_token(const RoutingResult& routing, std::int64_t token) const;
  static void thin_token(const Pass& pass, const TokenSelector& selector, const RoutingResult& routing,
                         std::int64_t token);
  void choose_experts(const Pass& pass, const StepContext& step, RoutingResult& routing) const;
  void count(const Pass& pass, RoutingResult& routing, const layout::LayerStatistics& load) const;
  void count_unbiased(const Pass& pass, const RoutingResult& routing, std::span<std::int64_t> counts) const;
  void add_token_gradients(const Pass& pass, const StepContext& step, const RoutingResult& routing,
                           const AuxGradients& gradients) const;
  /// On lse · d(lse)/dz.
  [[nodiscard]] float z_factor(const StepContext& step) const {
    return static_cast<float>(2.0 * options_.router.z_loss / static_cast<double>(step.routed_tokens));
  }
  /// What selection goes by.
  [[nodiscard]] ConstTensorView selected_on(const RoutingResult& routing) const {
    return options_.router.softmax_after_topk ? routing.logits : routing.scores;
  }

  MoeOptions options_;
  RouterLogits logits_;
  ScoreFunction score_;
  std::unique_ptr<Selector> selector_;
  std::unique_ptr<Selector> unbiased_selector_;  // plain top-k
  std::unique_ptr<Weighting> weighting_;
  std::vector<std::unique_ptr<AuxLoss>> aux_losses_;
  bool counts_unbiased_;
  std::vector<float> no_bias_;  // [choices], zeros
};

}  // namespace troupe::experts
