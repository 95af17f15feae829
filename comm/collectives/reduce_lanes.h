#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "comm/collectives/communicator.h"
#include "tensor/execution.h"

namespace troupe::comm {

/// The only code that sums gradients between workers (docs/architecture.md, "Layout invariance",
/// rules 3 and 4).
///
/// Lane s of `total_lanes` lives on rank s mod size; `lanes` are this rank's, ascending, each a buffer
/// of the same length. Rank r owns the elements [slice_begin[r], slice_begin[r + 1]); it receives
/// that slice of every lane and writes  ((0 + lane 0) + lane 1) + …  to `total` (its slice's length).
/// Same bits for every number of ranks and threads. Lanes travel piece by piece through `scratch`:
/// with two or more ranks it needs at least 3 * total_lanes elements, more is faster, and the result does
/// not depend on its size. size <= total_lanes. Throws kInternal when arguments do not fit together.
void reduce_lanes(const Execution& execution, Communicator& communicator, int total_lanes,
                  std::span<const std::span<const float>> lanes, std::span<const std::int64_t> slice_begin,
                  std::span<float> scratch, std::span<float> total);

}  // namespace troupe::comm
