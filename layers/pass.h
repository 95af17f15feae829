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
  ConstTensorView dense = {};  // flat, as all of these
  ConstTensorView experts = {};
  // Backward only:
  TensorView dense_gradient = {};                          // overwritten
  std::span<const TensorView> expert_gradient_lanes = {};  // added to
  std::span<const int> lane_of_source = {};                // [group size], index of a lane above

  MicrobatchInput microbatch = {};
  std::uint64_t seed = 0;  // of the run: with the tokens' numbers, the key of random numbers
  bool training = false;   // a backward follows: jitter and noise are on
};

/// Rows that feed-forwards and the head compute at a time: part of the arithmetic. A device is filled by more
/// of them than a host's caches hold.
inline constexpr std::int64_t kHostPieceRows = 256;
inline constexpr std::int64_t kDevicePieceRows = 2048;
[[nodiscard]] inline std::int64_t piece_rows(const Execution& execution) {
  return execution.accelerator == nullptr ? kHostPieceRows : kDevicePieceRows;
}

}  // namespace troupe
