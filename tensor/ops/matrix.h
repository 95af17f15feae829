#pragma once
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "tensor/tensor.h"

namespace troupe::ops {

/// A row-major matrix inside a kernel: a view whose dtype was checked. T may be const.
template <class T>
struct Matrix {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t stride = 0;  // elements from row to row

  T& operator()(std::int64_t row, std::int64_t column) const { return data[row * stride + column]; }
  [[nodiscard]] T* row(std::int64_t index) const { return data + index * stride; }

  operator Matrix<const T>() const  // NOLINT: a mutable matrix is a const matrix
      requires(!std::is_const_v<T>) {
    return {data, rows, columns, stride};
  }
};

/// Rows of one task of a row-wise op: enough work to be worth a task.
inline std::int64_t rows_of_a_task(std::int64_t columns) {
  constexpr std::int64_t kElements = 1 << 14;
  return std::max<std::int64_t>(1, kElements / std::max<std::int64_t>(1, columns));
}

inline Matrix<float> matrix(const TensorView& view) {
  return {view.f32(), view.rows(), view.columns(), view.row_stride()};
}
inline Matrix<const float> matrix(const ConstTensorView& view) {
  return {view.f32(), view.rows(), view.columns(), view.row_stride()};
}
inline Matrix<const std::int32_t> integer_matrix(const ConstTensorView& view) {
  return {view.i32(), view.rows(), view.columns(), view.row_stride()};
}

}  // namespace troupe::ops
