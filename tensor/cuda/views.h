#pragma once
#include <cstdint>
#include <type_traits>

/// Views of device memory as kernels get them, by value. constexpr makes a member callable on a device, too.
namespace troupe::cuda {

/// A row-major matrix. T may be const.
template <class T>
struct Matrix {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t stride = 0;  // elements from row to row

  [[nodiscard]] constexpr T* row(std::int64_t index) const { return data + index * stride; }

  /// A mutable matrix is a const matrix.
  template <class U>
  requires std::is_same_v<U, const T>
  operator Matrix<U>() const {  // NOLINT
    return {data, rows, columns, stride};
  }
};

/// The heads of some tokens: head h of token t is `width` numbers from data + t * stride + h * width on. With
/// one head, the rows of a matrix.
template <class T>
struct Heads {
  T* data = nullptr;
  std::int64_t tokens = 0;
  std::int64_t heads = 1;
  std::int64_t width = 0;
  std::int64_t stride = 0;  // elements from token to token

  [[nodiscard]] constexpr std::int64_t rows() const { return tokens * heads; }
  /// Of [tokens * heads] rows.
  [[nodiscard]] constexpr T* row(std::int64_t index) const {
    return data + index / heads * stride + index % heads * width;
  }

  template <class U>
  requires std::is_same_v<U, const T>
  operator Heads<U>() const {  // NOLINT
    return {data, tokens, heads, width, stride};
  }
};

}  // namespace troupe::cuda
