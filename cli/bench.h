#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"

namespace troupe::cli {

/// Seconds of repeated measurements.
struct Timing {
  double median = 0.0;
  double least = 0.0;
  double most = 0.0;
};
[[nodiscard]] Timing summarize(std::vector<double> seconds);

struct GemmRate {
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  int repeats = 0;
  Timing seconds;
  [[nodiscard]] double best_flops() const;  // per second
};

/// fp32 GEMM rates of this machine, right now, on shapes that fill it: the peak that MFU refers to is
/// the best of them (docs/performance.md).
[[nodiscard]] std::vector<GemmRate> measure_gemm(int threads, const Clock& clock);
[[nodiscard]] double peak_flops(const std::vector<GemmRate>& rates);

/// `troupe bench gemm` and `troupe bench step`; they print and return an exit code.
struct BenchArguments {
  std::string config;
  std::vector<std::string> overrides;
  int steps = 3;
  int threads = 1;
  bool json = false;
};
[[nodiscard]] int bench_gemm(const BenchArguments& arguments);
[[nodiscard]] int bench_step(const BenchArguments& arguments);

}  // namespace troupe::cli
