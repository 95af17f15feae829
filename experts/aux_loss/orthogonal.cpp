#include "experts/aux_loss/orthogonal.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/index.h"
#include "experts/rows.h"
#include "tensor/ops/gemm/gemm.h"

namespace troupe::experts {
namespace {

constexpr double kSmallestNorm = 1e-12;

double dot(std::span<const float> a, std::span<const float> b) {
  return std::transform_reduce(a.begin(), a.end(), b.begin(), 0.0, std::plus<>(),
                               [](float x, float y) { return static_cast<double>(x) * y; });
}

double norm(std::span<const float> values) { return std::max(std::sqrt(dot(values, values)), kSmallestNorm); }

/// Ŵ: [choices, hidden]
TensorView normalized(const Pass& pass, ConstTensorView weight) {
  const TensorView unit = pass.arena.allocate(weight.shape());
  for (std::int64_t i = 0; i < weight.rows(); ++i) {
    const double scale = 1.0 / norm(row(weight, i));
    std::ranges::transform(row(weight, i), row(unit, i).begin(),
                           [&](float value) { return static_cast<float>(scale * value); });
  }
  return unit;
}

/// Ŵ Ŵᵀ − I: [choices, choices]
TensorView overlaps(const Pass& pass, ConstTensorView unit) {
  const TensorView product = pass.arena.allocate({unit.rows(), unit.rows()});
  ops::gemm(pass.execution, ops::Transpose::kNo, ops::Transpose::kYes, unit, unit, product);
  for (std::int64_t i = 0; i < unit.rows(); ++i) row(product, i)[at(i)] -= 1.0F;
  return product;
}

}  // namespace

double OrthogonalLoss::value(const Pass& pass, const AuxInput& input) {
  const ArenaScope scope(pass.arena);
  const std::int64_t tokens = input.routing.scores.rows();
  if (tokens == 0) return 0.0;
  const TensorView product = overlaps(pass, normalized(pass, input.weight));
  double sum = 0.0;
  for (const float value : product.floats()) sum += static_cast<double>(value) * value;
  return static_cast<double>(tokens) * sum / static_cast<double>(product.elements());
}

/// dŴ = 4/N² (Ŵ Ŵᵀ − I) Ŵ, and dw = (dŵ − (dŵ · ŵ) ŵ) / ‖w‖
void OrthogonalLoss::add_gradient(const Pass& pass, const AuxInput& input, double factor,
                                  const AuxGradients& gradients) const {
  const ArenaScope scope(pass.arena);
  const std::int64_t tokens = input.routing.scores.rows();
  if (tokens == 0) return;
  const TensorView unit = normalized(pass, input.weight);
  const TensorView product = overlaps(pass, unit);
  const TensorView dunit = pass.arena.allocate(unit.shape());
  ops::gemm(pass.execution, ops::Transpose::kNo, ops::Transpose::kNo, product, unit, dunit);
  const double scale = factor * static_cast<double>(tokens) * 4.0 / static_cast<double>(product.elements());
  for (std::int64_t i = 0; i < unit.rows(); ++i) {
    const auto direction = row(unit, i);
    const auto d = row(dunit, i);
    const double along = dot(d, direction);
    const double row_scale = scale / norm(row(input.weight, i));
    const auto dweight = row(gradients.dweight, i);
    for (std::size_t h = 0; h < d.size(); ++h)
      dweight[h] += static_cast<float>(row_scale * (d[h] - along * direction[h]));
  }
}

}  // namespace troupe::experts
