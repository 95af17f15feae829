#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "base/random.h"
#include "tensor/execution.h"
#include "tensor/ops/matrix.h"
#include "tensor/tensor.h"

namespace troupe::testing {

/// Uniform in [-1, 1), the same for every run.
template <class T>
std::vector<T> random_values(std::int64_t count, std::uint32_t stream) {
  const Random random(2024, RandomPurpose::kTest, stream);
  std::vector<T> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(2.0 * random.uniform(i) - 1.0);
  return values;
}

/// A matrix whose rows lie further apart than they are long; the gaps notice who writes there.
class StridedMatrix {
 public:
  StridedMatrix(std::int64_t rows, std::int64_t columns, std::int64_t gap = 3)
      : storage_(Shape{rows, columns + gap}), columns_(columns) {
    for (float& value : storage_.floats()) value = kGap;
  }
  static StridedMatrix random(std::int64_t rows, std::int64_t columns, std::uint32_t stream,
                              std::int64_t gap = 3) {
    StridedMatrix matrix(rows, columns, gap);
    const auto values = random_values<float>(rows * columns, stream);
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      matrix.at(i / columns, i % columns) = values[static_cast<std::size_t>(i)];
    }
    return matrix;
  }

  [[nodiscard]] TensorView view() { return storage_.view().columns(0, columns_); }
  [[nodiscard]] ConstTensorView view() const { return storage_.view().columns(0, columns_); }
  [[nodiscard]] ops::Matrix<float> matrix() { return ops::matrix(view()); }
  [[nodiscard]] ops::Matrix<const float> matrix() const { return ops::matrix(view()); }
  [[nodiscard]] float& at(std::int64_t row, std::int64_t column) {
    return storage_.f32()[row * storage_.shape()[1] + column];
  }
  [[nodiscard]] StridedMatrix copy() const {
    StridedMatrix other(storage_.shape()[0], columns_, storage_.shape()[1] - columns_);
    std::memcpy(other.storage_.f32(), storage_.f32(), storage_.floats().size_bytes());
    return other;
  }
  [[nodiscard]] bool gaps_untouched() const {
    for (std::int64_t row = 0; row < storage_.shape()[0]; ++row) {
      for (std::int64_t column = columns_; column < storage_.shape()[1]; ++column) {
        if (storage_.f32()[row * storage_.shape()[1] + column] != kGap) return false;
      }
    }
    return true;
  }
  /// All values, gaps included, bit by bit.
  [[nodiscard]] bool same_bits(const StridedMatrix& other) const {
    return std::memcmp(storage_.f32(), other.storage_.f32(), storage_.floats().size_bytes()) == 0;
  }

 private:
  static constexpr float kGap = 777.0F;
  Tensor storage_;
  std::int64_t columns_;
};

inline void expect_near(const StridedMatrix& actual, const StridedMatrix& expected, float tolerance) {
  const auto a = actual.matrix();
  const auto e = expected.matrix();
  ASSERT_EQ(a.rows, e.rows);
  ASSERT_EQ(a.columns, e.columns);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (std::int64_t column = 0; column < a.columns; ++column) {
      ASSERT_NEAR(a(row, column), e(row, column), tolerance) << "at [" << row << ", " << column << "]";
    }
  }
  EXPECT_TRUE(actual.gaps_untouched());
}

/// An i32 vector or matrix as an op takes it.
class Integers {
 public:
  Integers(const Shape& shape, const std::vector<std::int32_t>& values) : tensor_(shape, DType::kI32) {
    std::copy(values.begin(), values.end(), tensor_.i32());
  }
  [[nodiscard]] ConstTensorView view() const { return tensor_.view(); }
  [[nodiscard]] std::span<const std::int32_t> span() const {
    return {tensor_.i32(), static_cast<std::size_t>(tensor_.elements())};
  }

 private:
  Tensor tensor_;
};

/// Contiguous fp64 matrix over a vector, for the references.
inline ops::Matrix<double> matrix_of(std::vector<double>& values, std::int64_t columns) {
  return {values.data(), static_cast<std::int64_t>(values.size()) / columns, columns, columns};
}

/// Compares d loss / d x with central differences of `loss`, which reads x.
inline void expect_gradient(const std::function<double()>& loss, std::vector<double>& x,
                            const std::vector<double>& gradient) {
  constexpr double kStep = 1e-5;
  ASSERT_EQ(x.size(), gradient.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double kept = x[i];
    x[i] = kept + kStep;
    const double above = loss();
    x[i] = kept - kStep;
    const double below = loss();
    x[i] = kept;
    ASSERT_NEAR(gradient[i], (above - below) / (2 * kStep), 1e-7) << "element " << i;
  }
}

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += a[i] * b[i];
  return total;
}

}  // namespace troupe::testing
