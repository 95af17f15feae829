#include "workers/peak_flops.h"

#include <algorithm>
#include <array>
#include <limits>

#include "tensor/ops/gemm/gemm.h"

namespace troupe::workers {
namespace {

constexpr std::int64_t kSize = 512;  // of square matrices: they stay in the second-level cache
constexpr int kRepetitions = 4;      // the first one warms up

double fastest_seconds(int threads, const Clock& clock) {
  Tensor a({kSize, kSize});
  Tensor b({kSize, kSize});
  Tensor c({kSize, kSize});
  std::ranges::fill(a.floats(), 0.5F);
  std::ranges::fill(b.floats(), 0.25F);
  double fastest = std::numeric_limits<double>::max();
  for (int i = 0; i < kRepetitions; ++i) {
    const TimePoint begin = clock.now();
    ops::gemm({threads}, ops::Transpose::kNo, ops::Transpose::kNo, a, b, c);
    fastest = std::min(fastest, seconds(clock.now() - begin));
  }
  return fastest;
}

}  // namespace

double measure_peak_flops(comm::Communicator& world, int threads, const Clock& clock) {
  world.barrier();
  const double flop = 2.0 * static_cast<double>(kSize * kSize * kSize);
  std::array rate{static_cast<std::int64_t>(flop / fastest_seconds(threads, clock))};
  world.all_reduce_sum(rate);
  return static_cast<double>(rate[0]);
}

}  // namespace troupe::workers
