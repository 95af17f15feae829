#pragma once
#include <cstdint>
#include <memory>

#include "comm/collectives/communicator.h"
#include "configs/run_config.h"
#include "tensor/accelerator.h"
#include "tensor/device/make_accelerator.h"

namespace troupe::cli {

[[nodiscard]] device::DenseProducts dense_products(const configs::RunConfig& config);

/// What a worker computes on; null: the host. Workers of a machine take its devices in turn. Collective.
/// Throws kConfig where parallel.device names what is not here.
[[nodiscard]] std::unique_ptr<Accelerator> make_worker_device(const configs::RunConfig& config,
                                                              comm::Communicator& world);

/// Identity of the arithmetic of this machine and build, with a device's where the run uses one: runs do not
/// mix different ones (ops::numerics_fingerprint()).
[[nodiscard]] std::uint64_t numerics_identity(const configs::RunConfig& config);

}  // namespace troupe::cli
