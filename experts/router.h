#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "experts/options.h"
#include "experts/pass.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// What a layer's router needs to know of the step; equal on all workers.
struct RouterStep {
  std::span<const float> bias;                             // [experts], balance bias
  std::span<const std::int64_t> previous_counts;           // [experts]; empty or all zero: uniform
  std::span<const std::int64_t> previous_unbiased_counts;  // the same by top-k without bias
  std::span<const double> aux_coefficients;                // [aux losses]
  std::int64_t routed_tokens = 0;                          // of the global batch
};

/// Load and losses of one layer and microbatch, overwritten. Losses are sums over tokens without
/// coefficients.
struct RouterSums {
  std::span<std::int64_t> counts;           // [experts], before any drop
  std::span<std::int64_t> unbiased_counts;  // [experts]; filled when an aux loss asks for it, else zero
  std::span<double> aux_loss;               // [aux losses]: N Σ_i f_i Σ_t p_ti
  double* z_loss = nullptr;                 // Σ_t logsumexp(z_t)²
};

/// Where the tokens of a microbatch go, and what backward needs. Views into the arena.
struct RoutingResult {
  TensorView logits;         // [tokens, experts], z
  TensorView scores;         // [tokens, experts], s
  TensorView log_sum_exp;    // [tokens], of z
  TensorView chosen;         // [tokens, top_k] i32, expert ids, best first
  TensorView weights;        // [tokens, top_k], of the experts' outputs
  TensorView aux_direction;  // [experts], d(auxiliary losses)/d(p_i) of a token
};

/// Chooses top_k experts per token: top-k on s + b (ties to the lower expert id), weights from s
/// (arXiv 2408.15664, 2412.19437); with softmax_after_topk top-k on z + b, softmax over the chosen z.
/// fp32 throughout. One per MoE layer.
class Router {
 public:
  /// prefix: "layers/03/"; the weight is prefix + "router/weight", [experts, hidden].
  Router(const MoeOptions& options, const ParameterTable& table, const std::string& prefix);

  /// x: [tokens, hidden]
  [[nodiscard]] RoutingResult forward(const Pass& pass, ConstTensorView x, const RouterStep& step,
                                      const RouterSums& sums);

  /// Gradient of the loss through the weights, of the auxiliary losses and of the z-loss.
  ///   dweights: [tokens, top_k]; dx: [tokens, hidden], added to
  void backward(const Pass& pass, ConstTensorView x, const RouterStep& step, const RoutingResult& routing,
                ConstTensorView dweights, TensorView dx) const;

 private:
  void score_tokens(const Pass& pass, const RoutingResult& routing) const;
  void choose_experts(const Pass& pass, const RouterStep& step, const RoutingResult& routing) const;
  void count_unbiased(const Pass& pass, const RoutingResult& routing, std::span<std::int64_t> counts) const;
  void auxiliary_losses(const RouterStep& step, const RouterSums& sums, const RoutingResult& routing);
  void weigh(std::span<const float> logits, std::span<const float> scores,
             std::span<const std::int32_t> chosen, std::span<float> weights) const;
  void logit_gradient(const RouterStep& step, const RoutingResult& routing, std::int64_t token,
                      std::span<const float> dweights, std::span<float> dscores,
                      std::span<float> dlogits) const;
  void score_gradient(std::span<const float> scores, std::span<const std::int32_t> chosen,
                      std::span<const float> dweights, std::span<float> dscores) const;

  MoeOptions options_;
  ParameterHandle weight_;
  std::vector<double> probability_sums_;  // [experts], scratch
  std::vector<double> frequencies_;       // [experts], scratch
};

}  // namespace troupe::experts
