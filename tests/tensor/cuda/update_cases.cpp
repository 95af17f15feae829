#include "op_check.h"
#include "tensor/cuda/adamw.h"
#include "tensor/cuda/elementwise.h"
#include "tensor/ops/adamw/adamw_ref.h"

namespace troupe::op_check {
namespace {

constexpr double kTolerance = 2e-6;

std::vector<double> widened(const std::vector<float>& values) { return {values.begin(), values.end()}; }

/// Ranges with gaps between them, which stay as they are.
void check_adamw(Run& run, std::int64_t step) {
  const std::vector<cuda::AdamWRange> ranges{
      {0, 1500, 0.1F}, {1504, 1, 0.0F}, {1520, 0, 0.1F}, {1536, 300, 0.0F}};
  constexpr std::int64_t kElements = 1900;
  const auto value = random_values(kElements, 1);
  const auto gradient = random_values(kElements, 2);
  const auto first = random_values(kElements, 3);
  auto second = random_values(kElements, 4);
  for (float& v : second) v = v * v;
  const ops::AdamWStep options{1e-2, 0.9, 0.95, 1e-8, 0.1, step, 0.5F};
  auto* device_value = run.upload(value);
  auto* device_first = run.upload(first);
  auto* device_second = run.upload(second);
  const auto correction = [&](double beta) {
    return static_cast<float>(1.0 - std::pow(beta, static_cast<double>(step)));
  };
  cuda::adamw(run.stream(), {static_cast<float>(options.lr), static_cast<float>(options.beta1),
                             static_cast<float>(1.0 - options.beta1), static_cast<float>(options.beta2),
                             static_cast<float>(1.0 - options.beta2), static_cast<float>(options.eps),
                             correction(options.beta1), correction(options.beta2), options.gradient_scale,
                             run.upload(ranges), std::ssize(ranges), 1500, device_value, run.upload(gradient),
                             device_first, device_second});
  auto value64 = widened(value);
  auto first64 = widened(first);
  auto second64 = widened(second);
  const auto gradient64 = widened(gradient);
  for (const auto& range : ranges) {
    const auto part = [&](auto& values) {
      return std::span(values).subspan(static_cast<std::size_t>(range.begin),
                                       static_cast<std::size_t>(range.elements));
    };
    auto with_decay = options;
    with_decay.weight_decay = range.weight_decay;
    ops::reference::adamw<double>(with_decay, part(value64), part(gradient64), part(first64), part(second64));
  }
  run.expect("value", device_value, value64, kTolerance);
  run.expect("first_moment", device_first, first64, kTolerance);
  run.expect("second_moment", device_second, second64, kTolerance);
}

void check_elementwise(Run& run, std::int64_t count) {
  const auto x = random_values(count, 1);
  const auto y = random_values(count, 2);
  const auto* device_x = run.upload(x);
  auto* added = run.upload(y);
  auto* summed = run.output<float>(count);
  auto* zeroed = run.output<float>(count);
  cuda::add(run.stream(), device_x, added, count);
  cuda::sum(run.stream(), device_x, added, summed, count);
  cuda::zero(run.stream(), zeroed, count);
  std::vector<double> expected_added;
  std::vector<double> expected_summed;
  for (std::size_t i = 0; i < x.size(); ++i) {
    expected_added.push_back(x[i] + y[i]);
    expected_summed.push_back(x[i] + (x[i] + y[i]));
  }
  run.expect("added", added, expected_added, 0.0);
  run.expect("summed", summed, expected_summed, 0.0);
  run.expect("zeroed", zeroed, std::vector<double>(x.size()), 0.0);
}

/// Lanes are added in their order, in fp32.
void check_lanes(Run& run, std::int64_t lane_count, std::int64_t count) {
  std::vector<const float*> lanes;
  std::vector<float> expected(static_cast<std::size_t>(count));
  for (std::int64_t lane = 0; lane < lane_count; ++lane) {
    const auto values = random_values(count, static_cast<std::uint64_t>(lane) + 1);
    for (std::size_t i = 0; i < values.size(); ++i) expected[i] += values[i];
    lanes.push_back(run.upload(values));
  }
  auto* total = run.output<float>(count);
  cuda::add_lanes(run.stream(), run.upload(lanes), lane_count, count, total);
  run.expect("total", total, widened(expected), 0.0);
}

void check_squares(Run& run, std::int64_t count) {
  const auto x = random_values(count, 1);
  const std::int64_t chunks = (count + cuda::kSquaresChunk - 1) / cuda::kSquaresChunk;
  auto* sums = run.output<double>(chunks);
  cuda::sums_of_squares(run.stream(), run.upload(x), count, sums);
  std::vector<double> expected(static_cast<std::size_t>(chunks));
  for (std::size_t i = 0; i < x.size(); ++i) {
    expected[i / static_cast<std::size_t>(cuda::kSquaresChunk)] += static_cast<double>(x[i]) * x[i];
  }
  run.expect("sums", sums, expected, 1e-12);
}

void check_sum_f64(Run& run, std::int64_t count) {
  const auto x = widened(random_values(count, 1));
  auto* total = run.output<double>(1);
  cuda::sum_f64(run.stream(), run.upload(x), count,
                run.output<double>((count + cuda::kSquaresChunk - 1) / cuda::kSquaresChunk), total);
  double expected = 0.0;
  for (const double value : x) expected += value;
  run.expect("total", total, {expected}, 1e-10);
}

}  // namespace

void add_update_cases(std::vector<Case>& cases) {
  for (const std::int64_t step : {std::int64_t{1}, std::int64_t{1000}}) {
    cases.push_back({"adamw", fmt::format("step {}", step), [=](Run& run) { check_adamw(run, step); }});
  }
  for (const std::int64_t count :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{300}, std::int64_t{70000}}) {
    const auto name = fmt::format("{} elements", count);
    cases.push_back({"elementwise", name, [=](Run& run) { check_elementwise(run, count); }});
    cases.push_back({"sums_of_squares", name, [=](Run& run) { check_squares(run, count); }});
    cases.push_back({"sum_f64", name, [=](Run& run) { check_sum_f64(run, count); }});
  }
  for (const std::int64_t lanes : {std::int64_t{0}, std::int64_t{1}, std::int64_t{5}}) {
    cases.push_back(
        {"add_lanes", fmt::format("{} lanes", lanes), [=](Run& run) { check_lanes(run, lanes, 333); }});
  }
}

}  // namespace troupe::op_check
