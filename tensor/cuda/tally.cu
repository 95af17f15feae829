#include "tensor/cuda/tally.h"

#include "tensor/cuda/kernel.h"

namespace troupe::cuda {
namespace {

constexpr int kThreads = 256;

/// A thread per slot.
__global__ void __launch_bounds__(kThreads)
    count_domains_kernel(Matrix<const std::int32_t> chosen, const std::int32_t* domains,
                         Matrix<std::int64_t> counts) {
  const std::int64_t slot = blockIdx.x * static_cast<std::int64_t>(kThreads) + threadIdx.x;
  if (slot >= chosen.rows * chosen.columns) return;
  const std::int64_t token = slot / chosen.columns;
  const std::int32_t choice = chosen.row(token)[slot % chosen.columns];
  if (choice < 0) return;
  // Integers: in any order.
  atomicAdd(reinterpret_cast<unsigned long long*>(counts.row(domains[token]) + choice), 1ULL);
}

}  // namespace

void count_domains(Stream stream, Matrix<const std::int32_t> chosen, const std::int32_t* domains,
                   Matrix<std::int64_t> counts) {
  launch(stream, grid_of(pieces_of(chosen.rows * chosen.columns, kThreads)), kThreads, 0, "count_domains",
         count_domains_kernel, chosen, domains, counts);
}

}  // namespace troupe::cuda
