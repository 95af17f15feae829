#include "optimizer/sharded_adamw.h"

#include <gtest/gtest.h>

#include <cmath>

#include "layout/layout.h"

namespace troupe::optimizer {
namespace {

ParameterTable table() {
  return ParameterTable({{.name = "norm", .shape = {20}, .role = ParameterRole::kNorm},
                         {.name = "weight", .shape = {2 * layout::kChunkElements + 3}}});
}

std::vector<float> ramp(std::int64_t size, double scale) {
  std::vector<float> values(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(scale * std::sin(0.1 * static_cast<double>(i)));
  return values;
}

std::vector<float> train(int ranks, int threads, const OptimizerOptions& options) {
  const ParameterTable parameters = table();
  std::vector<std::int64_t> begin;
  for (std::size_t i = 0; i <= parameters.specs().size(); ++i) begin.push_back(parameters.offset(i));
  const auto slices = layout::slice_by_chunks(begin, ranks);
  std::vector<float> values = ramp(parameters.buffer_elements(), 1.0);
  const std::vector<float> gradient = ramp(parameters.buffer_elements(), 0.3);
  for (std::size_t rank = 0; rank < static_cast<std::size_t>(ranks); ++rank) {
    ShardedAdamW adamw(options, parameters, slices[rank], slices[rank + 1]);
    const auto slice = std::span(gradient).subspan(static_cast<std::size_t>(slices[rank]),
                                                   static_cast<std::size_t>(slices[rank + 1] - slices[rank]));
    for (int step = 1; step <= 3; ++step) adamw.update(Execution{threads}, step, 0.01, 0.5F, values, slice);
  }
  return values;
}

TEST(ShardedAdamW, AParameterMayLearnSlowerAndDecaysAsTheOthers) {
  const auto after = [](double lr_factor, double gradient) {
    const ParameterTable parameters({{.name = "weight", .shape = {4}, .lr_factor = lr_factor}});
    std::vector<float> values(static_cast<std::size_t>(parameters.buffer_elements()), 1.0F);
    const std::vector<float> gradients(values.size(), static_cast<float>(gradient));
    ShardedAdamW adamw({.weight_decay = 0.1}, parameters, 0, std::ssize(values));
    adamw.update(Execution{}, 1, 0.01, 1.0F, values, gradients);
    return 1.0 - static_cast<double>(values[0]);
  };
  EXPECT_NEAR(after(0.25, 0.0), 0.001, 1e-6) << "lr times weight_decay";
  EXPECT_NEAR(after(1.0, 0.5), 0.01 + 0.001, 1e-6) << "the first step of Adam is lr";
  EXPECT_NEAR(after(0.25, 0.5), 0.0025 + 0.001, 1e-6);
}

TEST(ShardedAdamW, SameBitsForEveryNumberOfOwnersAndThreads) {
  const OptimizerOptions options;
  const auto expected = train(1, 1, options);
  for (const int ranks : {1, 2, 3, 7}) EXPECT_EQ(train(ranks, 2, options), expected) << ranks;
}

TEST(ShardedAdamW, MatchesTheFormulaInDoublePrecision) {
  const OptimizerOptions options{.weight_decay = 0.1};
  const ParameterTable parameters = table();
  const auto actual = train(1, 1, options);
  const auto initial = ramp(parameters.buffer_elements(), 1.0);
  const auto gradient = ramp(parameters.buffer_elements(), 0.3);
  for (const std::int64_t offset : {parameters.offset(0) + 7, parameters.offset(1) + 70000}) {
    const auto i = static_cast<std::size_t>(offset);
    const double decay = offset < parameters.offset(1) ? 0.0 : 0.1;
    double value = initial[i], m = 0, v = 0;
    const double g = 0.5 * gradient[i];
    for (int step = 1; step <= 3; ++step) {
      m = 0.9 * m + 0.1 * g;
      v = 0.95 * v + 0.05 * g * g;
      const double update =
          (m / (1 - std::pow(0.9, step))) / (std::sqrt(v / (1 - std::pow(0.95, step))) + 1e-8);
      value -= 0.01 * (update + decay * value);
    }
    EXPECT_NEAR(actual[i], value, 2e-6) << offset;
  }
}

}  // namespace
}  // namespace troupe::optimizer
