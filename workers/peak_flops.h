#pragma once
#include "base/clock.h"
#include "comm/collectives/communicator.h"

namespace troupe::workers {

/// What all workers together reach on fp32 products, FLOP/s: the peak that MFU refers to. All measure at the
/// same time, since they may share cores and memory. Takes some milliseconds of a few threads; collective.
[[nodiscard]] double measure_peak_flops(comm::Communicator& world, int threads, const Clock& clock);

}  // namespace troupe::workers
