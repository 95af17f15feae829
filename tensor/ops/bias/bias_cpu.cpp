#include "tensor/ops/bias/bias.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/bias/bias_cpu.cpp"
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

void add_bias_rows(const float* bias, Matrix<float> y, std::int64_t first, std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) {
    float* y_row = y.row(t);
    for_each_vector(0, y.columns, [&](auto d, std::int64_t j) HWY_ATTR {
      hn::StoreU(hn::Add(hn::LoadU(d, y_row + j), hn::LoadU(d, bias + j)), d, y_row + j);
    });
  }
}

void bias_gradient_columns(Matrix<const float> dy, float* dbias, bool accumulate, std::int64_t first,
                           std::int64_t last) {
  for_each_vector(first, last, [&](auto d, std::int64_t j) HWY_ATTR {
    auto sum = hn::Zero(d);
    for (std::int64_t t = 0; t < dy.rows; ++t) sum = hn::Add(sum, hn::LoadU(d, dy.row(t) + j));
    hn::StoreU(accumulate ? hn::Add(hn::LoadU(d, dbias + j), sum) : sum, d, dbias + j);
  });
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(add_bias_rows);
HWY_EXPORT(bias_gradient_columns);

void add_bias(const Execution& execution, ConstTensorView bias, TensorView y) {
  const OpScope measured(execution, OpKind::kElementwise);
  if (DeviceOps* device = device_ops(execution)) return device->add_bias(bias, y);
  const auto values = reals("add_bias: bias", bias, y.columns());
  parallel_for_blocks(execution, y.rows(), rows_of_a_task(y.columns()),
                      [&](std::int64_t first, std::int64_t last) {
                        HWY_DYNAMIC_DISPATCH(add_bias_rows)(values.data(), matrix(y), first, last);
                      });
}

void bias_gradient(const Execution& execution, ConstTensorView dy, TensorView dbias, Accumulate accumulate) {
  const OpScope measured(execution, OpKind::kElementwise);
  if (DeviceOps* device = device_ops(execution)) return device->bias_gradient(dy, dbias, accumulate);
  constexpr std::int64_t kColumnsOfATask = 128;
  const auto sums = reals("bias_gradient: dbias", dbias, dy.columns());
  parallel_for_blocks(execution, dy.columns(), kColumnsOfATask, [&](std::int64_t first, std::int64_t last) {
    HWY_DYNAMIC_DISPATCH(bias_gradient_columns)
    (matrix(dy), sums.data(), accumulate == Accumulate::kYes, first, last);
  });
}

}  // namespace troupe::ops
#endif
