#pragma once
#include "base/clock.h"
#include "comm/collectives/communicator.h"
#include "tensor/accelerator.h"
#include "tensor/execution.h"

namespace troupe::workers {

/// What all workers together reach on fp32 products, FLOP/s: the peak that MFU refers to. All measure at the
/// same time, since they may share cores and memory, or a device. Takes some milliseconds; collective.
///   execution: of this worker
[[nodiscard]] double measure_peak_flops(comm::Communicator& world, const Execution& execution,
                                        const Clock& clock);

/// What one device reaches, FLOP/s.
[[nodiscard]] double device_gemm_flops(Accelerator& accelerator, const Clock& clock);

}  // namespace troupe::workers
