#include "workers/peak_flops.h"

#include <algorithm>
#include <array>
#include <limits>

#include "tensor/ops/gemm/gemm.h"

namespace troupe::workers {
namespace {

constexpr std::int64_t kSize = 512;  // of square matrices: they stay in the second-level cache
constexpr int kRepetitions = 4;      // the first one warms up

double flop_of(std::int64_t size) { return 2.0 * static_cast<double>(size * size * size); }

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

double device_gemm_flops(Accelerator& accelerator, const Clock& clock) {
  constexpr std::int64_t kDeviceSize = 4096;  // fills it
  constexpr int kCalls = 4;
  const Tensor a({kDeviceSize, kDeviceSize}, DType::kF32, &accelerator);
  Tensor c({kDeviceSize, kDeviceSize}, DType::kF32, &accelerator);
  TimePoint begin;
  for (int call = 0; call <= kCalls; ++call) {
    if (call == 1) {  // the first one warms up
      accelerator.synchronize();
      begin = clock.now();
    }
    ops::gemm({.accelerator = &accelerator}, ops::Transpose::kNo, ops::Transpose::kYes, a, a, c);
  }
  accelerator.synchronize();
  return kCalls * flop_of(kDeviceSize) / seconds(clock.now() - begin);
}

double measure_peak_flops(comm::Communicator& world, const Execution& execution, const Clock& clock) {
  world.barrier();
  const double own = execution.accelerator == nullptr
                         ? flop_of(kSize) / fastest_seconds(execution.threads, clock)
                         : device_gemm_flops(*execution.accelerator, clock);
  std::array rate{static_cast<std::int64_t>(own)};
  world.all_reduce_sum(rate);
  return static_cast<double>(rate[0]);
}

}  // namespace troupe::workers
