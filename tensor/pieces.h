#pragma once
#include <algorithm>
#include <cstdint>

namespace troupe {

/// [0, total) in equal pieces of at most about `largest`, borders on multiples of 16: a function of its
/// arguments only, so that what is computed piece by piece has the same shapes on every layout.
class Pieces {
 public:
  Pieces(std::int64_t total, std::int64_t largest) : total_(total) {
    constexpr std::int64_t kBorderMultiple = 16;
    const std::int64_t wanted = std::max<std::int64_t>(1, (total + largest - 1) / largest);
    const std::int64_t even = (total + wanted - 1) / wanted;
    size_ = std::max(kBorderMultiple, (even + kBorderMultiple - 1) / kBorderMultiple * kBorderMultiple);
  }

  [[nodiscard]] std::int64_t count() const { return (total_ + size_ - 1) / size_; }
  [[nodiscard]] std::int64_t first(std::int64_t piece) const { return piece * size_; }
  [[nodiscard]] std::int64_t length(std::int64_t piece) const {
    return std::min(size_, total_ - first(piece));
  }

 private:
  std::int64_t total_;
  std::int64_t size_;
};

}  // namespace troupe
