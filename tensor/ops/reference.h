#pragma once
#include <cstdint>
#include <span>
#include <type_traits>

#include "tensor/tensor.h"

namespace troupe::ops::reference {

/// A row-major matrix for the plain loops of the references, which exist in float (to compare the
/// fast kernels with) and in double (for gradient checks). T may be const.
template <class T>
struct Matrix {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t stride = 0;  // elements from row to row

  T& operator()(std::int64_t row, std::int64_t column) const { return data[row * stride + column]; }
  operator Matrix<const T>() const  // NOLINT: a mutable matrix is a const matrix
      requires(!std::is_const_v<T>) {
    return {data, rows, columns, stride};
  }
};

/// An argument that follows the type T of another one.
template <class T>
using Input = std::type_identity_t<Matrix<const T>>;
template <class T>
using Vector = std::type_identity_t<std::span<const T>>;

inline Matrix<float> matrix(const TensorView& view) {
  return {view.f32(), view.rows(), view.columns(), view.row_stride()};
}
inline Matrix<const float> matrix(const ConstTensorView& view) {
  return {view.f32(), view.rows(), view.columns(), view.row_stride()};
}
inline Matrix<const std::int32_t> integer_matrix(const ConstTensorView& view) {
  return {view.i32(), view.rows(), view.columns(), view.row_stride()};
}

}  // namespace troupe::ops::reference
