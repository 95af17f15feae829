#include "tensor/ops/swiglu/swiglu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/swiglu/swiglu_cpu.cpp"
#include <hwy/foreach_target.h>

#include "tensor/ops/checks.h"
#include "tensor/ops/matrix.h"
#include "tensor/ops/vector-inl.h"
#include "tensor/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

void swiglu_forward_rows(Matrix<const float> gate_up, Matrix<float> y, std::int64_t first,
                         std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) {
    const float* gate_row = gate_up.row(t);
    const float* up_row = gate_row + y.columns;
    float* y_row = y.row(t);
    for_each_vector(0, y.columns, [&](auto d, std::int64_t j) HWY_ATTR {
      const auto gate = hn::LoadU(d, gate_row + j);
      const auto silu = hn::Mul(gate, sigmoid(d, gate));
      hn::StoreU(hn::Mul(silu, hn::LoadU(d, up_row + j)), d, y_row + j);
    });
  }
}

void swiglu_backward_rows(Matrix<const float> dy, Matrix<const float> gate_up, Matrix<float> dgate_up,
                          std::int64_t first, std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) {
    const float* dy_row = dy.row(t);
    const float* gate_row = gate_up.row(t);
    const float* up_row = gate_row + dy.columns;
    float* dgate_row = dgate_up.row(t);
    float* dup_row = dgate_row + dy.columns;
    for_each_vector(0, dy.columns, [&](auto d, std::int64_t j) HWY_ATTR {
      const auto gate = hn::LoadU(d, gate_row + j);
      const auto up = hn::LoadU(d, up_row + j);
      const auto dout = hn::LoadU(d, dy_row + j);
      const auto one = hn::Set(d, 1.0F);
      const auto s = sigmoid(d, gate);
      const auto slope = hn::Mul(s, hn::MulAdd(gate, hn::Sub(one, s), one));
      hn::StoreU(hn::Mul(hn::Mul(dout, up), slope), d, dgate_row + j);
      hn::StoreU(hn::Mul(dout, hn::Mul(gate, s)), d, dup_row + j);
    });
  }
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(swiglu_forward_rows);
HWY_EXPORT(swiglu_backward_rows);

void swiglu_forward(const Execution& execution, ConstTensorView gate_up, TensorView y) {
  check_matrix("swiglu: gate_up", gate_up, y.rows(), 2 * y.columns());
  parallel_for_blocks(execution, y.rows(), rows_of_a_task(y.columns()),
                      [&](std::int64_t first, std::int64_t last) {
                        HWY_DYNAMIC_DISPATCH(swiglu_forward_rows)(matrix(gate_up), matrix(y), first, last);
                      });
}

void swiglu_backward(const Execution& execution, ConstTensorView dy, ConstTensorView gate_up,
                     TensorView dgate_up) {
  check_matrix("swiglu: gate_up", gate_up, dy.rows(), 2 * dy.columns());
  check_matrix("swiglu: dgate_up", dgate_up, dy.rows(), 2 * dy.columns());
  parallel_for_blocks(execution, dy.rows(), rows_of_a_task(dy.columns()),
                      [&](std::int64_t first, std::int64_t last) {
                        HWY_DYNAMIC_DISPATCH(swiglu_backward_rows)
                        (matrix(dy), matrix(gate_up), matrix(dgate_up), first, last);
                      });
}

}  // namespace troupe::ops
#endif
