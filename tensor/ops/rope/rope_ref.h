#pragma once
#include "base/index.h"
#include "tensor/ops/reference.h"
#include "tensor/ops/rope/rope.h"

namespace troupe::ops::reference {

/// Rotates pairs (i, i + rotary/2), or (2i, 2i + 1), of every head in place, as in rope.h.
///   cosine, sine: [positions, rotary/2]; positions: [tokens]; x: [tokens, heads * head_dim]
template <class T>
void rope(Input<T> cosine, Input<T> sine, std::span<const std::int32_t> positions, std::int64_t head_dim,
          RopeDirection direction, Matrix<T> x, RopePairing pairing = RopePairing::kHalves) {
  const std::int64_t half = cosine.columns;
  const T sign = direction == RopeDirection::kForward ? T{1} : T{-1};
  for (std::int64_t t = 0; t < x.rows; ++t) {
    const std::int64_t position = positions[at(t)];
    for (std::int64_t begin = 0; begin < x.columns; begin += head_dim) {
      for (std::int64_t i = 0; i < half; ++i) {
        const bool halves = pairing == RopePairing::kHalves;
        T& a = x(t, begin + (halves ? i : 2 * i));
        T& b = x(t, begin + (halves ? half + i : 2 * i + 1));
        const T first = a;
        const T second = b;
        a = first * cosine(position, i) - second * sign * sine(position, i);
        b = second * cosine(position, i) + first * sign * sine(position, i);
      }
    }
  }
}

}  // namespace troupe::ops::reference
