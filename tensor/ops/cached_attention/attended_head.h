#pragma once
#include <cstdint>

#include "tensor/ops/matrix.h"

namespace troupe::ops {

/// One query head and what it sees: the positions from row `first` on, in a ring.
struct AttendedHead {
  const float* query = nullptr;  // [key_dim]
  Matrix<const float> keys;      // [capacity, key_dim], of the sequence
  Matrix<const float> values;    // [capacity, value_dim]
  std::int64_t first = 0;
  std::int64_t seen = 0;
  float scale = 1.0F;
  float softcap = 0.0F;
  float slope = 0.0F;       // of scores by distance
  std::int64_t window = 0;  // of keys that sees() leaves
  std::int64_t stride = 0;
  const float* sink = nullptr;
  float* scores = nullptr;  // [seen], scratch
  float* out = nullptr;     // [value_dim]

  /// Row of the i-th position that is seen.
  [[nodiscard]] std::int64_t row(std::int64_t i) const {
    return first + i < keys.rows ? first + i : first + i - keys.rows;
  }
};

}  // namespace troupe::ops
