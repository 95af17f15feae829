#include "cli/run/device_choice.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/index.h"
#include "tensor/device/make_accelerator.h"
#include "tensor/ops/numerics_fingerprint.h"

namespace troupe::cli {

device::DenseProducts dense_products(const configs::RunConfig& config) {
  return config.parallel.gemm == layout::Gemm::kCublasLt ? device::DenseProducts::kCublasLt
                                                         : device::DenseProducts::kOwn;
}

std::unique_ptr<Accelerator> make_worker_device(const configs::RunConfig& config, comm::Communicator& world) {
  if (config.parallel.device == DeviceKind::kCpu) return nullptr;
  const std::vector<int> hosts = world.hosts();
  const auto before = std::count(hosts.begin(), hosts.begin() + world.rank(), hosts[at(world.rank())]);
  return device::make_accelerator(static_cast<int>(before) % std::max(1, device::accelerator_count()),
                                  dense_products(config));
}

std::uint64_t numerics_identity(const configs::RunConfig& config) {
  std::uint64_t identity = ops::numerics_fingerprint();
  if (config.parallel.device == DeviceKind::kCpu) return identity;
  constexpr std::uint64_t kPrime = 0x100000001B3ULL;  // FNV-1a
  std::string name = device::accelerator_name();
  if (config.parallel.gemm == layout::Gemm::kCublasLt) name += device::cublaslt_name();
  for (const char c : name) identity = (identity ^ static_cast<unsigned char>(c)) * kPrime;
  return identity;
}

}  // namespace troupe::cli
