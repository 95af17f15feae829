#include "tensor/ops/rms_norm/rms_norm.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/rms_norm/rms_norm_cpu.cpp"
#include <hwy/foreach_target.h>

#include "tensor/ops/checks.h"
#include "tensor/ops/device_ops.h"
#include "tensor/ops/matrix.h"
#include "tensor/ops/vector-inl.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

void rms_norm_rows(Matrix<const float> x, const float* weight, double eps, Matrix<float> y, float* inv_rms,
                   std::int64_t first, std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) {
    const float* x_row = x.row(t);
    float* y_row = y.row(t);
    const float squares = sum_of_terms(x.columns, [&](auto d, std::int64_t j, auto total) HWY_ATTR {
      const auto value = hn::LoadU(d, x_row + j);
      return hn::MulAdd(value, value, total);
    });
    const double mean = static_cast<double>(squares) / static_cast<double>(x.columns);
    inv_rms[t] = static_cast<float>(1.0 / std::sqrt(mean + eps));
    for_each_vector(0, x.columns, [&](auto d, std::int64_t j) HWY_ATTR {
      const auto normed = hn::Mul(hn::LoadU(d, x_row + j), hn::Set(d, inv_rms[t]));
      hn::StoreU(hn::Mul(normed, hn::LoadU(d, weight + j)), d, y_row + j);
    });
  }
}

template <bool kAccumulate>
void rms_norm_dx_row(const float* dy, const float* x, const float* weight, float inv_rms,
                     std::int64_t columns, float* dx) {
  const float dot = sum_of_terms(columns, [&](auto d, std::int64_t j, auto total) HWY_ATTR {
    return hn::MulAdd(hn::Mul(hn::LoadU(d, dy + j), hn::LoadU(d, weight + j)), hn::LoadU(d, x + j), total);
  });
  const float along_x = -dot * inv_rms * inv_rms * inv_rms / static_cast<float>(columns);
  for_each_vector(0, columns, [&](auto d, std::int64_t j) HWY_ATTR {
    const auto scaled = hn::Mul(hn::Mul(hn::LoadU(d, dy + j), hn::LoadU(d, weight + j)), hn::Set(d, inv_rms));
    auto gradient = hn::MulAdd(hn::LoadU(d, x + j), hn::Set(d, along_x), scaled);
    if constexpr (kAccumulate) gradient = hn::Add(hn::LoadU(d, dx + j), gradient);
    hn::StoreU(gradient, d, dx + j);
  });
}

void rms_norm_dx_rows(Matrix<const float> dy, Matrix<const float> x, const float* weight,
                      const float* inv_rms, Matrix<float> dx, bool accumulate, std::int64_t first,
                      std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) {
    if (accumulate) {
      rms_norm_dx_row<true>(dy.row(t), x.row(t), weight, inv_rms[t], x.columns, dx.row(t));
    } else {
      rms_norm_dx_row<false>(dy.row(t), x.row(t), weight, inv_rms[t], x.columns, dx.row(t));
    }
  }
}

// Columns [first, last) of dweight, token after token.
void rms_norm_dweight_columns(Matrix<const float> dy, Matrix<const float> x, const float* inv_rms,
                              float* dweight, std::int64_t first, std::int64_t last) {
  for_each_vector(first, last,
                  [&](auto d, std::int64_t j) HWY_ATTR { hn::StoreU(hn::Zero(d), d, dweight + j); });
  for (std::int64_t t = 0; t < x.rows; ++t) {
    const float* dy_row = dy.row(t);
    const float* x_row = x.row(t);
    for_each_vector(first, last, [&](auto d, std::int64_t j) HWY_ATTR {
      const auto normed = hn::Mul(hn::LoadU(d, x_row + j), hn::Set(d, inv_rms[t]));
      hn::StoreU(hn::MulAdd(hn::LoadU(d, dy_row + j), normed, hn::LoadU(d, dweight + j)), d, dweight + j);
    });
  }
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(rms_norm_rows);
HWY_EXPORT(rms_norm_dx_rows);
HWY_EXPORT(rms_norm_dweight_columns);

namespace {
constexpr std::int64_t kColumnsOfATask = 128;
}  // namespace

void rms_norm_forward(const Execution& execution, ConstTensorView x, ConstTensorView weight, double eps,
                      TensorView y, TensorView inv_rms) {
  const OpScope measured(execution, OpKind::kNorm);
  if (DeviceOps* device = device_ops(execution)) return device->rms_norm_forward(x, weight, eps, y, inv_rms);
  check_matrix("rms_norm: y", y, x.rows(), x.columns());
  const float* weights = reals("rms_norm: weight", weight, x.columns()).data();
  float* scales = reals("rms_norm: inv_rms", inv_rms, x.rows()).data();
  parallel_for_blocks(
      execution, x.rows(), rows_of_a_task(x.columns()), [&](std::int64_t first, std::int64_t last) {
        HWY_DYNAMIC_DISPATCH(rms_norm_rows)(matrix(x), weights, eps, matrix(y), scales, first, last);
      });
}

void rms_norm_backward(const Execution& execution, ConstTensorView dy, ConstTensorView x,
                       ConstTensorView weight, ConstTensorView inv_rms, TensorView dx, TensorView dweight,
                       bool accumulate_dx) {
  const OpScope measured(execution, OpKind::kNorm);
  if (DeviceOps* device = device_ops(execution))
    return device->rms_norm_backward(dy, x, weight, inv_rms, dx, dweight, accumulate_dx);
  check_matrix("rms_norm: dy", dy, x.rows(), x.columns());
  check_matrix("rms_norm: dx", dx, x.rows(), x.columns());
  const float* weights = reals("rms_norm: weight", weight, x.columns()).data();
  const float* scales = reals("rms_norm: inv_rms", inv_rms, x.rows()).data();
  float* weight_gradient = reals("rms_norm: dweight", dweight, x.columns()).data();
  // dweight first: dx may overwrite dy.
  parallel_for_blocks(execution, x.columns(), kColumnsOfATask, [&](std::int64_t first, std::int64_t last) {
    HWY_DYNAMIC_DISPATCH(rms_norm_dweight_columns)
    (matrix(dy), matrix(x), scales, weight_gradient, first, last);
  });
  parallel_for_blocks(execution, x.rows(), rows_of_a_task(x.columns()),
                      [&](std::int64_t first, std::int64_t last) {
                        HWY_DYNAMIC_DISPATCH(rms_norm_dx_rows)
                        (matrix(dy), matrix(x), weights, scales, matrix(dx), accumulate_dx, first, last);
                      });
}

}  // namespace troupe::ops
#endif
