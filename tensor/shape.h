#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "base/index.h"

namespace troupe {

/// Sizes of up to four dimensions, row-major. A value.
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> sizes);  // throws kInternal on a negative size or rank > 4
  explicit Shape(std::span<const std::int64_t> sizes);

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] std::int64_t operator[](int dimension) const { return sizes_[at(dimension)]; }
  [[nodiscard]] std::span<const std::int64_t> sizes() const { return {sizes_.data(), at(rank_)}; }
  /// Product of the sizes; 1 for rank 0.
  [[nodiscard]] std::int64_t elements() const;
  /// "[3, 4]"
  [[nodiscard]] std::string to_string() const;
  bool operator==(const Shape&) const = default;

 private:
  std::array<std::int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
};

}  // namespace troupe
