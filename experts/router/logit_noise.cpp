#include "experts/router/logit_noise.h"

#include <cmath>

#include "base/random.h"
#include "experts/router/score.h"
#include "experts/rows.h"
#include "tensor/ops/gemm/gemm.h"

namespace troupe::experts {

LogitNoise::LogitNoise(std::int64_t layer, const ParameterTable& table, const std::string& prefix)
    : layer_(static_cast<std::uint32_t>(layer)), weight_(table, prefix + "router/noise_weight") {}

float LogitNoise::epsilon(const Pass& pass, std::int64_t token, std::int64_t choice,
                          std::int64_t choices) const {
  if (!pass.training) return 0.0F;
  const std::int64_t number = (pass.microbatch.first_token + token) * choices + choice;
  return static_cast<float>(
      Random(pass.seed, RandomPurpose::kRouter, layer_).normal(static_cast<std::uint64_t>(number)));
}

void LogitNoise::forward(const Pass& pass, ConstTensorView x, const RoutingResult& routing) const {
  ops::gemm(pass.execution, ops::Transpose::kNo, ops::Transpose::kYes, x, weight_.value(pass.dense),
            routing.noise_std);
  const std::int64_t choices = routing.logits.columns();
  for_tokens(pass.execution, x.rows(), [&](std::int64_t token, std::int64_t) {
    const auto z = row(routing.clean_logits, token);
    const auto noise_std = row(routing.noise_std, token);
    const auto noisy = row(routing.logits, token);
    for (std::size_t i = 0; i < z.size(); ++i) {
      noise_std[i] = softplus(noise_std[i]);
      noisy[i] = z[i] + epsilon(pass, token, static_cast<std::int64_t>(i), choices) * noise_std[i];
    }
  });
}

/// d softplus(a)/da = σ(a) = 1 - exp(-softplus(a))
void LogitNoise::backward(const Pass& pass, ConstTensorView x, const RoutingResult& routing,
                          const AuxGradients& gradients, TensorView dx) const {
  const std::int64_t choices = routing.logits.columns();
  for_tokens(pass.execution, x.rows(), [&](std::int64_t token, std::int64_t) {
    const auto noise_std = row(routing.noise_std, token);
    const auto dlogits = row(gradients.dlogits, token);
    const auto dclean = row(gradients.dclean_logits, token);
    const auto dstd = row(gradients.dnoise_std, token);
    for (std::size_t i = 0; i < dlogits.size(); ++i) {
      dstd[i] += dlogits[i] * epsilon(pass, token, static_cast<std::int64_t>(i), choices);
      dstd[i] *= -std::expm1(-noise_std[i]);
      dlogits[i] += dclean[i];
    }
  });
  ops::gemm(pass.execution, ops::Transpose::kYes, ops::Transpose::kNo, gradients.dnoise_std, x,
            weight_.gradient(pass.dense_gradient));
  ops::gemm(pass.execution, ops::Transpose::kNo, ops::Transpose::kNo, gradients.dnoise_std,
            weight_.value(pass.dense), dx, ops::Accumulate::kYes);
}

}  // namespace troupe::experts
