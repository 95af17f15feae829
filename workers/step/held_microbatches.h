#pragma once
#include <cstdint>

#include "comm/collectives/communicator.h"
#include "layout/layout.h"
#include "tensor/accelerator.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// Microbatches that every worker keeps between their forward and their backward
/// (`parallel.hold_microbatches`): of those that go forward together, as many as configured, or as fit into
/// half of the memory that is available, on the machine, or the device, where that is least. The others are
/// computed forward again. Changes no bit. Collective: all workers get the same.
[[nodiscard]] std::int64_t held_microbatches(const TrainingOptions& options, const layout::Layout& layout,
                                             comm::Communicator& world, Accelerator* accelerator = nullptr);

/// As many of `together` as fit into `bytes`, at least 1. one: activations of a microbatch, bytes
[[nodiscard]] std::int64_t microbatches_that_fit(std::int64_t together, std::int64_t one, std::int64_t bytes);

}  // namespace troupe::workers
