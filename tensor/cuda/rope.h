#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// Rotary position embedding of every head in place, by the negative angle with `backward`; of channels i
/// and i + rotary/2, or with `interleaved` 2i and 2i + 1. Reference: tensor/ops/rope/rope_ref.h.
///   cosine, sine: [positions, rotary / 2]; positions: [tokens]; x: [tokens, heads * head_dim]
struct RopeArguments {
  const float* cosine;
  const float* sine;
  std::int64_t rotary;
  const std::int32_t* positions;
  Heads<float> x;
  bool backward;
  bool interleaved = false;
};
void rope(Stream stream, const RopeArguments& arguments);

}  // namespace troupe::cuda
