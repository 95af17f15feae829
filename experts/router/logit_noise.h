#pragma once
#include <cstdint>
#include <string>

#include "experts/aux_loss/aux_loss.h"
#include "experts/router/routing.h"
#include "layers/parameter_handle.h"
#include "layers/pass.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// Noisy top-k's logits (arXiv 1701.06538 eq. 4): H = z + ε · softplus(W_noise x), ε ~ N(0, 1) while
/// training, a function of seed, layer, global token and choice; otherwise H = z. W_noise starts at 0.
/// Selection goes by H, without a balance bias; weights are the softmax of the kept H.
class LogitNoise {
 public:
  /// The parameter is prefix + "router/noise_weight", [choices, hidden].
  LogitNoise(std::int64_t layer, const ParameterTable& table, const std::string& prefix);

  /// x: [tokens, hidden]; reads routing.clean_logits, writes noise_std and logits.
  void forward(const Pass& pass, ConstTensorView x, const RoutingResult& routing) const;

  /// gradients.dlogits, of H, becomes that of z (dclean_logits added), dnoise_std that of W_noise x. Writes
  /// the gradient of W_noise.
  ///   x, dx: [tokens, hidden], dx added to
  void backward(const Pass& pass, ConstTensorView x, const RoutingResult& routing,
                const AuxGradients& gradients, TensorView dx) const;

 private:
  [[nodiscard]] float epsilon(const Pass& pass, std::int64_t token, std::int64_t choice,
                              std::int64_t choices) const;

  std::uint32_t layer_;
  ParameterHandle weight_;
};

}  // namespace troupe::experts
