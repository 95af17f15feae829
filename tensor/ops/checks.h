#pragma once
#include <cstdint>
#include <span>

#include "base/index.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// Throws kInternal naming the operand unless it is a host matrix (or vector: one column) of this size.
inline void check_matrix(const char* operand, const ConstTensorView& view, std::int64_t rows,
                         std::int64_t columns) {
  TROUPE_CHECK(view.device() == DeviceKind::kCpu, "{} is not in host memory", operand);
  TROUPE_CHECK(view.shape().rank() >= 1 && view.rows() == rows && view.columns() == columns,
               "{} is {}, expected [{}, {}]", operand, view.shape().to_string(), rows, columns);
}

/// Elements of a contiguous i32 vector of `count` elements.
inline std::span<const std::int32_t> integers(const char* operand, const ConstTensorView& view,
                                              std::int64_t count) {
  TROUPE_CHECK(view.contiguous() && view.elements() == count, "{} is {}, expected [{}]", operand,
               view.shape().to_string(), count);
  return {view.i32(), at(count)};
}

/// Elements of a contiguous f32 vector of `count` elements.
inline std::span<const float> reals(const char* operand, const ConstTensorView& view, std::int64_t count) {
  TROUPE_CHECK(view.contiguous() && view.elements() == count, "{} is {}, expected [{}]", operand,
               view.shape().to_string(), count);
  return {view.f32(), at(count)};
}
inline std::span<float> reals(const char* operand, const TensorView& view, std::int64_t count) {
  const auto elements = reals(operand, ConstTensorView(view), count);
  return {view.f32(), elements.size()};
}

}  // namespace troupe::ops
