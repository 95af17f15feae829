#pragma once
#include <optional>
#include <string>

#include "experts/aux_loss/aux_loss.h"
#include "experts/options.h"
#include "experts/router/input_jitter.h"
#include "experts/router/logit_noise.h"
#include "experts/router/routing.h"
#include "layers/declaration.h"
#include "layers/parameter_handle.h"
#include "layers/pass.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// z = W_r x, fp32: with jitter on x, a learned bias and a soft cap on z, and noisy top-k's noise, as
/// configured.
class RouterLogits {
 public:
  static void declare(layers::Declaration& declaration, const MoeOptions& options, std::int64_t hidden_size);

  /// Parameters: prefix + "router/weight", [choices, hidden]; with linear_bias "router/linear_bias",
  /// [choices]; with noisy_top_k "router/noise_weight".
  RouterLogits(const MoeOptions& options, std::int64_t layer, const ParameterTable& table,
               const std::string& prefix);

  [[nodiscard]] ConstTensorView weight(const Pass& pass) const { return weight_.value(pass.dense); }

  /// Allocates and writes logits, clean_logits and noise_std.  x: [tokens, hidden]
  void forward(const Pass& pass, ConstTensorView x, RoutingResult& routing) const;

  /// Gradient views for the router's backward: all but dweights allocated, and zero.
  [[nodiscard]] AuxGradients make_gradients(const Pass& pass, const RoutingResult& routing,
                                            TensorView dweights) const;

  /// From dlogits, dclean_logits and dnoise_std, which are used up, to the parameters and the input.
  ///   x, dx: [tokens, hidden], dx added to
  void backward(const Pass& pass, ConstTensorView x, const RoutingResult& routing,
                const AuxGradients& gradients, TensorView dx) const;

 private:
  void backward_products(const Pass& pass, ConstTensorView x, const RoutingResult& routing,
                         const AuxGradients& gradients, TensorView dx) const;

  std::int64_t choices_;
  double softcap_;
  ParameterHandle weight_;
  std::optional<ParameterHandle> bias_;
  std::optional<LogitNoise> noise_;
  InputJitter jitter_;
};

}  // namespace troupe::experts
