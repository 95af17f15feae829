#pragma once
#include <memory>
#include <span>

#include "experts/options.h"
#include "experts/router/routing.h"
#include "experts/router/step_context.h"
#include "layers/pass.h"
#include "tensor/ops/device_ops.h"

namespace troupe::experts {

/// What an auxiliary loss sees of one microbatch of one layer. Scores are the raw ones, counts of pairs
/// before drops.
struct AuxInput {
  const RoutingResult& routing;
  const StepContext& step;  // of this layer
  ConstTensorView weight;   // [choices, hidden], the router's
};

/// Where its gradient goes; everything is added to.
struct AuxGradients {
  TensorView dweights;  // [tokens, slots], of the chosen experts' weights
  TensorView dscores;   // [tokens, choices]
  TensorView dlogits;   // [tokens, choices]; of H with noisy_top_k
  TensorView dweight;   // [choices, hidden], of the router's matrix
  // Only with noisy_top_k, empty otherwise; besides what goes through H:
  TensorView dclean_logits = {};  // [tokens, choices]
  TensorView dnoise_std = {};     // [tokens, choices]
};

/// Of a microbatch and a router's matrix.
struct RouterShape {
  std::int64_t tokens = 0;
  std::int64_t choices = 0;
  std::int64_t hidden_size = 0;
};

/// One auxiliary loss of one layer (docs/experts.md). Its value for a microbatch is a sum over the
/// microbatch's tokens, so that the global batch's value is the sum of all, divided by its tokens. All of it
/// happens in backward, when the whole batch's load can be known.
class AuxLoss {
 public:
  virtual ~AuxLoss() = default;

  /// Elements of 4 bytes of the arena that backward() takes.
  [[nodiscard]] virtual std::int64_t memory(const RouterShape& /*shape*/) const { return 0; }

  /// Adds the gradient. sum: Σ over tokens, without coefficient; on a device there after its downloads are
  /// finished
  ///   factor: coefficient / routed tokens of the global batch
  void backward(const Pass& pass, const AuxInput& input, double factor, const AuxGradients& gradients,
                double& sum) {
    if (ops::DeviceOps* device = ops::device_ops(pass.execution))
      return backward_on_device(pass, *device, input, factor, gradients, sum);
    sum = value(pass, input);
    add_gradient(pass, input, factor, gradients);
  }

 private:
  /// Both of the following on a device; validation refuses the losses that have none.
  virtual void backward_on_device(const Pass& pass, ops::DeviceOps& device, const AuxInput& input,
                                  double factor, const AuxGradients& gradients, double& sum);
  /// May keep what add_gradient() of the same microbatch needs.
  [[nodiscard]] virtual double value(const Pass& pass, const AuxInput& input) = 0;
  virtual void add_gradient(const Pass& pass, const AuxInput& input, double factor,
                            const AuxGradients& gradients) const = 0;
};

[[nodiscard]] std::unique_ptr<AuxLoss> make_aux_loss(const MoeOptions& options, const AuxLossOptions& loss);

}  // namespace troupe::experts
