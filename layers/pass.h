#pragma once
#include <cstdint>
#include <span>

#include "layers/microbatch.h"
#include "tensor/arena.h"
#include "tensor/execution.h"
#include "tensor/profile.h"
#include "tensor/tensor.h"

namespace troupe {

/// What every layer gets for one pass over one microbatch. Buffers have the offsets of the model's
/// two parameter tables.
struct Pass {
  Execution execution;
  Arena& arena;
  std::span<const float> dense = {};
  std::span<const float> experts = {};
  // Backward only:
  std::span<float> dense_gradient = {};                          // overwritten
  std::span<const std::span<float>> expert_gradient_lanes = {};  // added to
  std::span<const int> lane_of_source = {};                      // [group size], index of a lane above

  MicrobatchInput microbatch = {};
  std::uint64_t seed = 0;  // of the run: with the tokens' numbers, the key of random numbers
  bool training = false;   // a backward follows: jitter and noise are on
};

}  // namespace troupe
