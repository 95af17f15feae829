#pragma once
#include "tensor/ops/matrix.h"

namespace troupe::ops {

/// One query head and what it sees.
struct AttendedHead {
  const float* query = nullptr;  // [key_dim]
  Matrix<const float> keys;      // [seen, key_dim]
  Matrix<const float> values;    // [seen, value_dim]
  float scale = 1.0F;
  float softcap = 0.0F;
  float slope = 0.0F;  // of scores by distance
  const float* sink = nullptr;
  float* scores = nullptr;  // [seen], scratch
  float* out = nullptr;     // [value_dim]
};

}  // namespace troupe::ops
