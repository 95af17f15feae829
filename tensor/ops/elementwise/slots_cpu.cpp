#include <algorithm>

#include "tensor/ops/checks.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/ops/elementwise/elementwise_ref.h"

namespace troupe::ops {
namespace {

using reference::matrix;

reference::Slots checked_slots(const ConstTensorView& slots, std::int64_t tokens, std::int64_t routed) {
  check_matrix("slots", slots, tokens, slots.columns());
  const reference::Slots matrix = reference::integer_matrix(slots);
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t s = 0; s < slots.columns(); ++s) {
      TROUPE_CHECK(matrix(t, s) >= -1 && matrix(t, s) < routed, "slot {} of {} rows", matrix(t, s), routed);
    }
  }
  return matrix;
}

}  // namespace

void gather_rows(const Execution&, ConstTensorView x, ConstTensorView rows, TensorView out) {
  check_matrix("gather_rows: out", out, out.rows(), x.columns());
  const auto indices = integers("gather_rows: rows", rows, out.rows());
  for (std::int64_t i = 0; i < out.rows(); ++i) {
    const std::int64_t row = indices[static_cast<std::size_t>(i)];
    TROUPE_CHECK(row >= 0 && row < x.rows(), "gather_rows: row {} of {}", row, x.rows());
    std::copy_n(x.f32() + row * x.row_stride(), x.columns(), out.f32() + i * out.row_stride());
  }
}

void combine_rows(const Execution&, ConstTensorView y, ConstTensorView slots, ConstTensorView weights,
                  ConstTensorView base, TensorView out) {
  check_matrix("combine_rows: y", y, y.rows(), out.columns());
  check_matrix("combine_rows: weights", weights, out.rows(), slots.columns());
  if (base.data() != nullptr) check_matrix("combine_rows: base", base, out.rows(), out.columns());
  reference::combine_rows<float>(matrix(y), checked_slots(slots, out.rows(), y.rows()), matrix(weights),
                                 base.data() == nullptr ? reference::Matrix<const float>{} : matrix(base),
                                 matrix(out));
}

void combine_rows_backward(const Execution&, ConstTensorView dout, ConstTensorView y, ConstTensorView slots,
                           ConstTensorView weights, TensorView dy, TensorView dweights) {
  check_matrix("combine_rows: y", y, y.rows(), dout.columns());
  check_matrix("combine_rows: dy", dy, y.rows(), dout.columns());
  check_matrix("combine_rows: weights", weights, dout.rows(), slots.columns());
  check_matrix("combine_rows: dweights", dweights, dout.rows(), slots.columns());
  reference::combine_rows_backward<float>(matrix(dout), matrix(y),
                                          checked_slots(slots, dout.rows(), y.rows()), matrix(weights),
                                          matrix(dy), matrix(dweights));
}

void scatter_slots_add(const Execution&, ConstTensorView dgathered, ConstTensorView slots, TensorView dx) {
  check_matrix("scatter_slots_add: dgathered", dgathered, dgathered.rows(), dx.columns());
  reference::scatter_slots_add<float>(matrix(dgathered), checked_slots(slots, dx.rows(), dgathered.rows()),
                                      matrix(dx));
}

}  // namespace troupe::ops
