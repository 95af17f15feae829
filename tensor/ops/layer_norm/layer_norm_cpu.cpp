#include "tensor/ops/layer_norm/layer_norm.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/layer_norm/layer_norm_cpu.cpp"
#include <hwy/foreach_target.h>

#include "tensor/ops/bias/bias.h"
#include "tensor/ops/checks.h"
#include "tensor/ops/device_ops.h"
#include "tensor/ops/matrix.h"
#include "tensor/ops/vector-inl.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

#ifndef TROUPE_TENSOR_OPS_LAYER_NORM_OPERANDS
#define TROUPE_TENSOR_OPS_LAYER_NORM_OPERANDS
namespace troupe::ops {
namespace {

struct LayerNormBackwardOperands {
  Matrix<const float> dy, x;
  const float* weight;
  const float* mean;
  const float* inv_std;
};

}  // namespace
}  // namespace troupe::ops
#endif

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

void layer_norm_rows(Matrix<const float> x, const float* weight, const float* bias, double eps,
                     Matrix<float> y, float* mean, float* inv_std, std::int64_t first, std::int64_t last) {
  const auto columns = static_cast<double>(x.columns);
  for (std::int64_t t = first; t < last; ++t) {
    const float* x_row = x.row(t);
    float* y_row = y.row(t);
    const float sum = sum_of_terms(x.columns, [&](auto d, std::int64_t j, auto total) HWY_ATTR {
      return hn::Add(total, hn::LoadU(d, x_row + j));
    });
    mean[t] = static_cast<float>(static_cast<double>(sum) / columns);
    const float squares = sum_of_terms(x.columns, [&](auto d, std::int64_t j, auto total) HWY_ATTR {
      const auto centered = hn::Sub(hn::LoadU(d, x_row + j), hn::Set(d, mean[t]));
      return hn::MulAdd(centered, centered, total);
    });
    inv_std[t] = static_cast<float>(1.0 / std::sqrt(static_cast<double>(squares) / columns + eps));
    for_each_vector(0, x.columns, [&](auto d, std::int64_t j) HWY_ATTR {
      const auto centered = hn::Sub(hn::LoadU(d, x_row + j), hn::Set(d, mean[t]));
      const auto scaled = hn::Mul(hn::Mul(centered, hn::Set(d, inv_std[t])), hn::LoadU(d, weight + j));
      hn::StoreU(bias == nullptr ? scaled : hn::Add(scaled, hn::LoadU(d, bias + j)), d, y_row + j);
    });
  }
}

void layer_norm_dx_rows(const LayerNormBackwardOperands& operands, Matrix<float> dx, bool accumulate,
                        std::int64_t first, std::int64_t last) {
  const std::int64_t columns = operands.x.columns;
  for (std::int64_t t = first; t < last; ++t) {
    const float* dy = operands.dy.row(t);
    const float* x = operands.x.row(t);
    float* dx_row = dx.row(t);
    const auto gradient = [&](auto d, std::int64_t j) HWY_ATTR {
      return hn::Mul(hn::LoadU(d, dy + j), hn::LoadU(d, operands.weight + j));
    };
    const auto normed = [&](auto d, std::int64_t j) HWY_ATTR {
      return hn::Mul(hn::Sub(hn::LoadU(d, x + j), hn::Set(d, operands.mean[t])),
                     hn::Set(d, operands.inv_std[t]));
    };
    const float sum = sum_of_terms(
        columns, [&](auto d, std::int64_t j, auto total) HWY_ATTR { return hn::Add(total, gradient(d, j)); });
    const float along = sum_of_terms(columns, [&](auto d, std::int64_t j, auto total) HWY_ATTR {
      return hn::MulAdd(gradient(d, j), normed(d, j), total);
    });
    const float mean = sum / static_cast<float>(columns);
    const float share = along / static_cast<float>(columns);
    for_each_vector(0, columns, [&](auto d, std::int64_t j) HWY_ATTR {
      const auto centered = hn::Sub(gradient(d, j), hn::Set(d, mean));
      auto value =
          hn::Mul(hn::NegMulAdd(normed(d, j), hn::Set(d, share), centered), hn::Set(d, operands.inv_std[t]));
      if (accumulate) value = hn::Add(hn::LoadU(d, dx_row + j), value);
      hn::StoreU(value, d, dx_row + j);
    });
  }
}

// Columns [first, last) of dweight, token after token.
void layer_norm_dweight_columns(const LayerNormBackwardOperands& operands, float* dweight, std::int64_t first,
                                std::int64_t last) {
  for_each_vector(first, last,
                  [&](auto d, std::int64_t j) HWY_ATTR { hn::StoreU(hn::Zero(d), d, dweight + j); });
  for (std::int64_t t = 0; t < operands.x.rows; ++t) {
    const float* dy = operands.dy.row(t);
    const float* x = operands.x.row(t);
    for_each_vector(first, last, [&](auto d, std::int64_t j) HWY_ATTR {
      const auto normed = hn::Mul(hn::Sub(hn::LoadU(d, x + j), hn::Set(d, operands.mean[t])),
                                  hn::Set(d, operands.inv_std[t]));
      hn::StoreU(hn::MulAdd(hn::LoadU(d, dy + j), normed, hn::LoadU(d, dweight + j)), d, dweight + j);
    });
  }
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(layer_norm_rows);
HWY_EXPORT(layer_norm_dx_rows);
HWY_EXPORT(layer_norm_dweight_columns);

namespace {
constexpr std::int64_t kColumnsOfATask = 128;
}  // namespace

void layer_norm_forward(const Execution& execution, ConstTensorView x, ConstTensorView weight,
                        ConstTensorView bias, double eps, TensorView y, TensorView mean, TensorView inv_std) {
  const OpScope measured(execution, OpKind::kNorm);
  if (DeviceOps* device = device_ops(execution))
    return device->layer_norm_forward(x, weight, bias, eps, y, mean, inv_std);
  check_matrix("layer_norm: x", x, x.rows(), x.columns());
  check_matrix("layer_norm: y", y, x.rows(), x.columns());
  const float* weights = reals("layer_norm: weight", weight, x.columns()).data();
  const float* shifts =
      bias.data() == nullptr ? nullptr : reals("layer_norm: bias", bias, x.columns()).data();
  float* means = reals("layer_norm: mean", mean, x.rows()).data();
  float* scales = reals("layer_norm: inv_std", inv_std, x.rows()).data();
  parallel_for_blocks(execution, x.rows(), rows_of_a_task(x.columns()),
                      [&](std::int64_t first, std::int64_t last) {
                        HWY_DYNAMIC_DISPATCH(layer_norm_rows)
                        (matrix(x), weights, shifts, eps, matrix(y), means, scales, first, last);
                      });
}

void layer_norm_backward(const Execution& execution, ConstTensorView dy, ConstTensorView x,
                         ConstTensorView weight, ConstTensorView mean, ConstTensorView inv_std, TensorView dx,
                         TensorView dweight, TensorView dbias, bool accumulate_dx) {
  if (dbias.data() != nullptr) bias_gradient(execution, dy, dbias, Accumulate::kNo);
  const OpScope measured(execution, OpKind::kNorm);
  if (DeviceOps* device = device_ops(execution))
    return device->layer_norm_backward(dy, x, weight, mean, inv_std, dx, dweight, accumulate_dx);
  check_matrix("layer_norm: dy", dy, x.rows(), x.columns());
  check_matrix("layer_norm: dx", dx, x.rows(), x.columns());
  const LayerNormBackwardOperands operands{matrix(dy), matrix(x),
                                           reals("layer_norm: weight", weight, x.columns()).data(),
                                           reals("layer_norm: mean", mean, x.rows()).data(),
                                           reals("layer_norm: inv_std", inv_std, x.rows()).data()};
  float* weight_gradient = reals("layer_norm: dweight", dweight, x.columns()).data();
  // dweight first: dx may overwrite dy.
  parallel_for_blocks(execution, x.columns(), kColumnsOfATask, [&](std::int64_t first, std::int64_t last) {
    HWY_DYNAMIC_DISPATCH(layer_norm_dweight_columns)(operands, weight_gradient, first, last);
  });
  parallel_for_blocks(
      execution, x.rows(), rows_of_a_task(x.columns()), [&](std::int64_t first, std::int64_t last) {
        HWY_DYNAMIC_DISPATCH(layer_norm_dx_rows)(operands, matrix(dx), accumulate_dx, first, last);
      });
}

}  // namespace troupe::ops
#endif
