#pragma once
#include <cstdint>
#include <vector>

#include "benchmarks/bench/timing.h"

namespace troupe::benchmarks {

struct GemmRate {
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  Timing seconds;
  [[nodiscard]] double flop() const;  // of one product
};

/// fp32 GEMM rates of this machine, right now, on shapes that fill it: the peak that MFU refers to is
/// the best of them (docs/performance.md).
[[nodiscard]] std::vector<GemmRate> measure_gemm(int threads, const Clock& clock);
/// FLOP/s
[[nodiscard]] double peak_flops(const std::vector<GemmRate>& rates);

}  // namespace troupe::benchmarks
