#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/bench.h"
#include "cli/exit_codes.h"
#include "tensor/ops/gemm/gemm.h"
#include "tensor/parallel.h"

namespace troupe::cli {
namespace {

constexpr double kSecondsPerShape = 0.3;
constexpr int kLeastRepeats = 5;

struct GemmShape {
  std::int64_t m, n, k;
};
constexpr std::array<GemmShape, 4> kShapes{
    {{512, 512, 512}, {1024, 1024, 512}, {2048, 1024, 512}, {1024, 1024, 1024}}};

GemmRate measure(const GemmShape& shape, int threads, const Clock& clock) {
  Tensor a({shape.m, shape.k});
  Tensor b({shape.k, shape.n});
  Tensor c({shape.m, shape.n});
  std::ranges::fill(a.floats(), 0.5F);
  std::ranges::fill(b.floats(), 0.25F);
  const auto multiply = [&] { ops::gemm({threads}, ops::Transpose::kNo, ops::Transpose::kNo, a, b, c); };
  multiply();
  std::vector<double> times;
  const TimePoint begin = clock.now();
  while (std::ssize(times) < kLeastRepeats || seconds(clock.now() - begin) < kSecondsPerShape) {
    const TimePoint start = clock.now();
    multiply();
    times.push_back(seconds(clock.now() - start));
  }
  return {.m = shape.m,
          .n = shape.n,
          .k = shape.k,
          .repeats = static_cast<int>(times.size()),
          .seconds = summarize(times)};
}

}  // namespace

Timing summarize(std::vector<double> times) {
  std::ranges::sort(times);
  return {.median = times[times.size() / 2], .least = times.front(), .most = times.back()};
}

double GemmRate::best_flops() const {
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) / seconds.least;
}

std::vector<GemmRate> measure_gemm(int threads, const Clock& clock) {
  use_one_library_thread();
  std::vector<GemmRate> rates;
  for (const GemmShape& shape : kShapes) rates.push_back(measure(shape, threads, clock));
  return rates;
}

double peak_flops(const std::vector<GemmRate>& rates) {
  double peak = 0.0;
  for (const GemmRate& rate : rates) peak = std::max(peak, rate.best_flops());
  return peak;
}

int bench_gemm(const BenchArguments& arguments) {
  const auto rates = measure_gemm(arguments.threads, SystemClock());
  if (arguments.json) {
    nlohmann::json shapes = nlohmann::json::array();
    for (const auto& rate : rates) {
      shapes.push_back({{"m", rate.m},
                        {"n", rate.n},
                        {"k", rate.k},
                        {"repeats", rate.repeats},
                        {"median_seconds", rate.seconds.median},
                        {"least_seconds", rate.seconds.least},
                        {"most_seconds", rate.seconds.most},
                        {"gflops", rate.best_flops() * 1e-9}});
    }
    const nlohmann::json all{
        {"threads", arguments.threads}, {"peak_gflops", peak_flops(rates) * 1e-9}, {"shapes", shapes}};
    std::printf("%s\n", all.dump(2).c_str());
    return kSuccess;
  }
  std::printf("%6s %6s %6s %8s %12s %12s %14s\n", "m", "n", "k", "repeats", "median ms", "spread ms",
              "best GFLOP/s");
  for (const auto& rate : rates) {
    std::printf("%6lld %6lld %6lld %8d %12.3f %12.3f %14.1f\n", static_cast<long long>(rate.m),
                static_cast<long long>(rate.n), static_cast<long long>(rate.k), rate.repeats,
                rate.seconds.median * 1e3, (rate.seconds.most - rate.seconds.least) * 1e3,
                rate.best_flops() * 1e-9);
  }
  std::printf("peak with %d threads: %.1f GFLOP/s\n", arguments.threads, peak_flops(rates) * 1e-9);
  return kSuccess;
}

}  // namespace troupe::cli
