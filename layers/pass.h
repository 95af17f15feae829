#pragma once
#include <cstdint>
#include <span>

#include "tensor/arena.h"
#include "tensor/execution.h"
#include "tensor/profile.h"
#include "tensor/tensor.h"

namespace troupe {

/// Which tokens of the run a microbatch holds: keys of its random numbers, never of the layout.
struct TokenPlace {
  std::uint64_t seed = 0;
  std::int64_t first_token = 0;  // number in the run of the microbatch's first token; the others follow
  std::int64_t sequence_length = 1;
  ConstTensorView domains = {};  // [tokens] i32, of each token; empty when not known
};

/// What every layer gets for one pass over one microbatch. Buffers have the offsets of the model's
/// two parameter tables.
struct Pass {
  Execution execution;
  Arena& arena;
  std::span<const float> dense;
  std::span<const float> experts;
  // Backward only:
  std::span<float> dense_gradient;                          // overwritten
  std::span<const std::span<float>> expert_gradient_lanes;  // added to
  std::span<const int> lane_of_source;                      // [group size], index of a lane above

  TokenPlace place = {};
  bool training = false;  // a backward follows: jitter and noise are on
};

}  // namespace troupe
