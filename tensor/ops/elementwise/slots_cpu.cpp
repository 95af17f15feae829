#include "tensor/ops/elementwise/elementwise.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/elementwise/slots_cpu.cpp"
#include <hwy/foreach_target.h>

#include "base/index.h"
#include "tensor/ops/checks.h"
#include "tensor/ops/device_ops.h"
#include "tensor/ops/matrix.h"
#include "tensor/ops/vector-inl.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

using Slots = Matrix<const std::int32_t>;

void combine_tokens(Matrix<const float> y, Slots slots, Matrix<const float> weights, Matrix<const float> base,
                    Matrix<float> out, std::int64_t first, std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) {
    for_each_vector(0, out.columns, [&](auto d, std::int64_t j) HWY_ATTR {
      // Slots in their order, then the base: the same sum wherever a row was computed.
      auto total = hn::Zero(d);
      for (std::int64_t s = 0; s < slots.columns; ++s) {
        if (slots(t, s) < 0) continue;
        total = hn::MulAdd(hn::Set(d, weights(t, s)), hn::LoadU(d, y.row(slots(t, s)) + j), total);
      }
      if (base.data != nullptr) total = hn::Add(total, hn::LoadU(d, base.row(t) + j));
      hn::StoreU(total, d, out.row(t) + j);
    });
  }
}

float dot(const float* a, const float* b, std::int64_t columns) {
  return sum_of_terms(columns, [&](auto d, std::int64_t j, auto total) HWY_ATTR {
    return hn::MulAdd(hn::LoadU(d, a + j), hn::LoadU(d, b + j), total);
  });
}

float combine_slot_backward(const float* dout, const float* y, float weight, std::int64_t columns,
                            float* dy) {
  for_each_vector(0, columns, [&](auto d, std::int64_t j) HWY_ATTR {
    hn::StoreU(hn::Mul(hn::Set(d, weight), hn::LoadU(d, dout + j)), d, dy + j);
  });
  return dot(dout, y, columns);
}

void combine_tokens_backward(Matrix<const float> dout, Matrix<const float> y, Slots slots,
                             Matrix<const float> weights, Matrix<float> dy, Matrix<float> dweights,
                             std::int64_t first, std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) {
    for (std::int64_t s = 0; s < slots.columns; ++s) {
      const std::int64_t slot = slots(t, s);
      dweights(t, s) = slot < 0 ? 0.0F
                                : combine_slot_backward(dout.row(t), y.row(slot), weights(t, s), dout.columns,
                                                        dy.row(slot));
    }
  }
}

void add_products_of_tokens(Matrix<const float> a, Matrix<const float> y, Slots slots, Matrix<float> out,
                            std::int64_t first, std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) {
    for (std::int64_t s = 0; s < slots.columns; ++s) {
      if (slots(t, s) >= 0) out(t, s) += dot(a.row(t), y.row(slots(t, s)), a.columns);
    }
  }
}

void scatter_tokens(Matrix<const float> dgathered, Slots slots, Matrix<float> dx, std::int64_t first,
                    std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) {
    for_each_vector(0, dx.columns, [&](auto d, std::int64_t j) HWY_ATTR {
      auto total = hn::Zero(d);
      for (std::int64_t s = 0; s < slots.columns; ++s) {
        if (slots(t, s) >= 0) total = hn::Add(total, hn::LoadU(d, dgathered.row(slots(t, s)) + j));
      }
      hn::StoreU(hn::Add(hn::LoadU(d, dx.row(t) + j), total), d, dx.row(t) + j);
    });
  }
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(combine_tokens);
HWY_EXPORT(combine_tokens_backward);
HWY_EXPORT(add_products_of_tokens);
HWY_EXPORT(scatter_tokens);

namespace {

Matrix<const std::int32_t> checked_slots(const ConstTensorView& slots, std::int64_t tokens,
                                         std::int64_t routed) {
  check_matrix("slots", slots, tokens, slots.columns());
  const Matrix<const std::int32_t> rows = integer_matrix(slots);
  // Before any of it is used: the vector code reads wherever a slot points to.
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t s = 0; s < slots.columns(); ++s) {
      TROUPE_CHECK(rows(t, s) >= -1 && rows(t, s) < routed, "slot {} of {} rows", rows(t, s), routed);
    }
  }
  return rows;
}

}  // namespace

void gather_rows(const Execution& execution, ConstTensorView x, ConstTensorView rows, TensorView out) {
  const OpScope measured(execution, OpKind::kRows);
  if (DeviceOps* device = device_ops(execution)) return device->gather_rows(x, rows, out);
  check_matrix("gather_rows: out", out, out.rows(), x.columns());
  const auto indices = integers("gather_rows: rows", rows, out.rows());
  for (const std::int32_t row : indices) {
    TROUPE_CHECK(row >= 0 && row < x.rows(), "gather_rows: row {} of {}", row, x.rows());
  }
  const Matrix<const float> source = matrix(x);
  const Matrix<float> target = matrix(out);
  parallel_for_blocks(execution, out.rows(), rows_of_a_task(out.columns()),
                      [&](std::int64_t first, std::int64_t last) {
                        for (std::int64_t i = first; i < last; ++i) {
                          std::copy_n(source.row(indices[at(i)]), source.columns, target.row(i));
                        }
                      });
}

void combine_rows(const Execution& execution, ConstTensorView y, ConstTensorView slots,
                  ConstTensorView weights, ConstTensorView base, TensorView out) {
  const OpScope measured(execution, OpKind::kRows);
  if (DeviceOps* device = device_ops(execution)) return device->combine_rows(y, slots, weights, base, out);
  check_matrix("combine_rows: y", y, y.rows(), out.columns());
  check_matrix("combine_rows: weights", weights, out.rows(), slots.columns());
  if (base.data() != nullptr) check_matrix("combine_rows: base", base, out.rows(), out.columns());
  const auto rows = checked_slots(slots, out.rows(), y.rows());
  const auto added = base.data() == nullptr ? Matrix<const float>{} : matrix(base);
  parallel_for_blocks(execution, out.rows(), rows_of_a_task(out.columns()),
                      [&](std::int64_t first, std::int64_t last) {
                        HWY_DYNAMIC_DISPATCH(combine_tokens)
                        (matrix(y), rows, matrix(weights), added, matrix(out), first, last);
                      });
}

void combine_rows_backward(const Execution& execution, ConstTensorView dout, ConstTensorView y,
                           ConstTensorView slots, ConstTensorView weights, TensorView dy,
                           TensorView dweights) {
  const OpScope measured(execution, OpKind::kRows);
  if (DeviceOps* device = device_ops(execution))
    return device->combine_rows_backward(dout, y, slots, weights, dy, dweights);
  check_matrix("combine_rows: y", y, y.rows(), dout.columns());
  check_matrix("combine_rows: dy", dy, y.rows(), dout.columns());
  check_matrix("combine_rows: weights", weights, dout.rows(), slots.columns());
  check_matrix("combine_rows: dweights", dweights, dout.rows(), slots.columns());
  const auto rows = checked_slots(slots, dout.rows(), y.rows());
  const std::int64_t block = rows_of_a_task(dout.columns());
  parallel_for_blocks(execution, dout.rows(), block, [&](std::int64_t first, std::int64_t last) {
    HWY_DYNAMIC_DISPATCH(combine_tokens_backward)
    (matrix(dout), matrix(y), rows, matrix(weights), matrix(dy), matrix(dweights), first, last);
  });
}

void add_slot_products(const Execution& execution, ConstTensorView a, ConstTensorView y,
                       ConstTensorView slots, TensorView out) {
  const OpScope measured(execution, OpKind::kRows);
  if (DeviceOps* device = device_ops(execution)) return device->add_slot_products(a, y, slots, out);
  check_matrix("add_slot_products: y", y, y.rows(), a.columns());
  check_matrix("add_slot_products: out", out, a.rows(), slots.columns());
  const auto rows = checked_slots(slots, a.rows(), y.rows());
  parallel_for_blocks(
      execution, a.rows(), rows_of_a_task(a.columns()), [&](std::int64_t first, std::int64_t last) {
        HWY_DYNAMIC_DISPATCH(add_products_of_tokens)(matrix(a), matrix(y), rows, matrix(out), first, last);
      });
}

void scatter_slots_add(const Execution& execution, ConstTensorView dgathered, ConstTensorView slots,
                       TensorView dx) {
  const OpScope measured(execution, OpKind::kRows);
  if (DeviceOps* device = device_ops(execution)) return device->scatter_slots_add(dgathered, slots, dx);
  check_matrix("scatter_slots_add: dgathered", dgathered, dgathered.rows(), dx.columns());
  const auto rows = checked_slots(slots, dx.rows(), dgathered.rows());
  parallel_for_blocks(
      execution, dx.rows(), rows_of_a_task(dx.columns()), [&](std::int64_t first, std::int64_t last) {
        HWY_DYNAMIC_DISPATCH(scatter_tokens)(matrix(dgathered), rows, matrix(dx), first, last);
      });
}

}  // namespace troupe::ops
#endif
