#include "experts/aux_loss/load_balance.h"

#include <algorithm>
#include <numeric>

#include "base/index.h"
#include "experts/rows.h"
#include "tensor/transfer.h"

namespace troupe::experts {
namespace {

float sum_of(std::span<const float> values) {
  float sum = 0.0F;
  for (const float value : values) sum += value;
  return sum;
}

}  // namespace

LoadBalanceLoss::LoadBalanceLoss(const AuxLossOptions& options, std::int64_t top_k, std::int64_t choices)
    : source_(make_load_frequencies(options, top_k, choices)),
      choices_(at(choices)),
      probability_sums_(choices_) {}

std::span<const double> LoadBalanceLoss::frequencies_of(std::int64_t token) const {
  return std::span(frequencies_).subspan(at(token / stretch_) * choices_, choices_);
}

bool LoadBalanceLoss::read_frequencies(const Pass& pass, const AuxInput& input) {
  const std::int64_t tokens = input.routing.scores.rows();
  stretch_ = source_->stretch(pass, tokens);
  frequencies_.resize(at(tokens / stretch_) * choices_);
  if (tokens == 0) return false;
  source_->fill(pass, input, frequencies_);
  return true;
}

double LoadBalanceLoss::value(const Pass& pass, const AuxInput& input) {
  if (!read_frequencies(pass, input)) return 0.0;
  const std::int64_t tokens = input.routing.scores.rows();
  double loss = 0.0;
  for (std::int64_t first = 0; first < tokens; first += stretch_) {
    std::ranges::fill(probability_sums_, 0.0);
    for (std::int64_t token = first; token < first + stretch_; ++token) {
      const auto s = row(input.routing.scores, token);
      const float sum = sum_of(s);
      for (std::size_t i = 0; i < s.size(); ++i) probability_sums_[i] += s[i] / sum;
    }
    const auto f = frequencies_of(first);
    loss += std::inner_product(f.begin(), f.end(), probability_sums_.begin(), 0.0);
  }
  return static_cast<double>(choices_) * loss;
}

void LoadBalanceLoss::backward_on_device(const Pass& pass, ops::DeviceOps& device, const AuxInput& input,
                                         double factor, const AuxGradients& gradients, double& sum) {
  sum = 0.0;
  if (!read_frequencies(pass, input)) return;
  const auto choices = static_cast<double>(choices_);
  const TensorView frequencies = pass.arena.allocate({std::ssize(frequencies_)}, DType::kF64);
  transfer(pass.execution.accelerator, frequencies_, frequencies);
  device.load_balance({.scores = input.routing.scores,
                       .frequencies = frequencies,
                       .stretch = stretch_,
                       .value_factor = choices,
                       .gradient_factor = factor * choices,
                       .dscores = gradients.dscores},
                      sum);
}

/// ds += factor · N · d(Σ_i f_i p_i)/ds with p = s / Σs
void LoadBalanceLoss::add_gradient(const Pass& pass, const AuxInput& input, double factor,
                                   const AuxGradients& gradients) const {
  const double scale = factor * static_cast<double>(choices_);
  for_tokens(pass.execution, input.routing.scores.rows(), [&](std::int64_t token, std::int64_t) {
    const auto s = row(input.routing.scores, token);
    const auto ds = row(gradients.dscores, token);
    const auto f = frequencies_of(token);
    const float sum = sum_of(s);
    float dot = 0.0F;
    for (std::size_t i = 0; i < s.size(); ++i) dot += static_cast<float>(scale * f[i]) * (s[i] / sum);
    for (std::size_t i = 0; i < s.size(); ++i) ds[i] += (static_cast<float>(scale * f[i]) - dot) / sum;
  });
}

}  // namespace troupe::experts
