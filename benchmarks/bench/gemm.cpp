#include "benchmarks/bench/gemm.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>

#include "benchmarks/bench/bench.h"
#include "benchmarks/bench/report.h"
#include "cli/subcommands.h"
#include "tensor/ops/gemm/gemm.h"
#include "tensor/parallel.h"

namespace troupe::benchmarks {
namespace {

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
  const Timing timing = time_repeated(
      clock, {}, [&] { ops::gemm({threads}, ops::Transpose::kNo, ops::Transpose::kNo, a, b, c); });
  return {.m = shape.m, .n = shape.n, .k = shape.k, .seconds = timing};
}

struct GemmArguments {
  int threads = 1;
  bool json = false;
};

int bench_gemm(const GemmArguments& arguments) {
  const auto rates = measure_gemm(arguments.threads, SystemClock());
  const double peak = peak_flops(rates);
  Report report{
      .title = fmt::format("fp32 products of n x n matrices (m x n x k), {} threads", arguments.threads),
      .unit = "GFLOP/s",
      .floor = "peak",
      .measurements = {},
      .facts = {{"threads", static_cast<double>(arguments.threads)}, {"peak_gflops", peak * 1e-9}}};
  for (const auto& rate : rates) {
    report.measurements.push_back({.what = fmt::format("{} x {} x {}", rate.m, rate.n, rate.k),
                                   .seconds = rate.seconds,
                                   .amount = rate.flop() * 1e-9,
                                   .floor_seconds = rate.flop() / peak});
  }
  print(report, arguments.json);
  return cli::kSuccess;
}

}  // namespace

double GemmRate::flop() const {
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

std::vector<GemmRate> measure_gemm(int threads, const Clock& clock) {
  use_one_library_thread();
  std::vector<GemmRate> rates;
  for (const GemmShape& shape : kShapes) rates.push_back(measure(shape, threads, clock));
  return rates;
}

double peak_flops(const std::vector<GemmRate>& rates) {
  double peak = 0.0;
  for (const GemmRate& rate : rates) peak = std::max(peak, rate.flop() / rate.seconds.least);
  return peak;
}

void add_bench_gemm(CLI::App& bench, Action& action) {
  auto* gemm = bench.add_subcommand("gemm", "fp32 matrix products: the peak that MFU refers to");
  const auto arguments = std::make_shared<GemmArguments>();
  gemm->add_option("--threads", arguments->threads, "CPU threads")->check(CLI::Range(1, 1024));
  gemm->add_flag("--json", arguments->json, "Machine-readable");
  gemm->footer("Example:\n  troupe bench gemm --threads 2");
  gemm->callback([arguments, &action] { action = [arguments] { return bench_gemm(*arguments); }; });
}

}  // namespace troupe::benchmarks
