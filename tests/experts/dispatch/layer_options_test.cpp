// Every way to dispatch gives the bits of a group of one, and every way to weigh and to drop the gradients
// of central differences.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "tests/experts/dispatch/layer_group.h"
#include "tests/experts/layer_run.h"

namespace troupe::experts {
namespace {

using layout::DispatchOptions;
using layout::DispatchType;

constexpr std::int64_t kTokens = 21;

struct ModelCase {
  const char* name;
  std::function<void(MoeOptions&)> change;
};

const std::vector<ModelCase>& model_cases() {
  static const std::vector<ModelCase> cases{
      {"plain", [](MoeOptions&) {}},
      {"three_slots", [](MoeOptions& moe) { moe.top_k = 3; }},
      {"no_shared_experts", [](MoeOptions& moe) { moe.shared_experts = 0; }},
      {"weight_on_input", [](MoeOptions& moe) { moe.router.weight_on = WeightOn::kInput; }},
      {"zero_experts", [](MoeOptions& moe) { moe.router.zero_experts = 3; }},
      {"zero_experts_weight_on_input",
       [](MoeOptions& moe) {
         moe.router.zero_experts = 3;
         moe.router.weight_on = WeightOn::kInput;
       }},
      {"drop_by_position",
       [](MoeOptions& moe) {
         moe.capacity = {CapacityKind::kFactor, 0.7, DropPolicy::kPosition};
       }},
      {"drop_by_score",
       [](MoeOptions& moe) {
         moe.capacity = {CapacityKind::kFactor, 0.6, DropPolicy::kScore};
       }},
      {"drop_nearly_all",
       [](MoeOptions& moe) {
         moe.capacity = {CapacityKind::kFactor, 0.05, DropPolicy::kScore};
       }},
      {"drop_with_zero_experts_on_input",
       [](MoeOptions& moe) {
         moe.capacity = {CapacityKind::kFactor, 0.5, DropPolicy::kScore};
         moe.router.zero_experts = 2;
         moe.router.weight_on = WeightOn::kInput;
       }},
  };
  return cases;
}

model::ModelOptions model_options(const ModelCase& model_case) {
  model::ModelOptions options = reference::tiny_options();
  options.moe.router.z_loss = 0.05;
  options.moe.aux_loss = {{AuxLossKind::kLoadBalance, AuxScope::kMicro, 0.2, FrequencySource::kActual}};
  model_case.change(options.moe);
  return options;
}

/// Four microbatches; the third one is shorter.
std::vector<LayerBatch> layer_batches(const model::ModelOptions& options) {
  std::vector<LayerBatch> batches;
  for (std::uint64_t i = 0; i < 4; ++i) {
    const auto size = static_cast<std::size_t>((i == 2 ? 2 : kTokens) * options.hidden_size);
    batches.push_back({reference::random_values(10 + i, size), reference::random_values(20 + i, size)});
  }
  return batches;
}

reference::FlatStep flat_step(const model::ModelOptions& options) {
  return {options, reference::random_step(options, {reference::random_batch(1, 1, 3 * kTokens)})};
}

struct DispatchCase {
  const char* name;
  DispatchOptions options;
};

constexpr std::int64_t kRowBytes = 12 * 4;  // of reference::tiny_options()

const std::vector<DispatchCase>& dispatch_cases() {
  static const std::vector<DispatchCase> cases{
      {"direct", {}},
      {"one_byte_at_once", {.max_bytes = 1}},
      {"twenty_rows_at_once", {.max_bytes = 20 * kRowBytes}},
      {"nodes_of_two", {.hierarchical = true, .workers_per_node = 2}},
      {"nodes_of_three", {.hierarchical = true, .workers_per_node = 3}},
      {"nodes_as_they_are", {.hierarchical = true}},
      {"chunks_between_nodes", {.max_bytes = 20 * kRowBytes, .hierarchical = true, .workers_per_node = 2}}};
  return cases;
}

class DispatchInvariance : public testing::TestWithParam<std::tuple<ModelCase, DispatchCase>> {};

TEST_P(DispatchInvariance, HasTheBitsOfAGroupOfOneForEverySize) {
  const auto& [model_case, dispatch] = GetParam();
  const model::ModelOptions options = model_options(model_case);
  const auto step = flat_step(options);
  const auto batches = layer_batches(options);
  for (const DispatchType type : {DispatchType::kF32, DispatchType::kBf16}) {
    const auto alone = run_layer_group(options, step, batches, {.dispatch = {.dtype = type}});
    for (const int workers : {1, 2, 3, 4}) {
      DispatchOptions chosen = dispatch.options;
      chosen.dtype = type;
      const auto together = run_layer_group(
          options, step, batches, {.workers = workers, .threads = workers == 2 ? 2 : 1, .dispatch = chosen});
      EXPECT_TRUE(together.same_bits(alone)) << workers << " workers, type " << static_cast<int>(type);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Options, DispatchInvariance,
                         testing::Combine(testing::ValuesIn(model_cases()),
                                          testing::ValuesIn(dispatch_cases())),
                         [](const auto& instance) {
                           return std::string(std::get<0>(instance.param).name) + "_with_" +
                                  std::get<1>(instance.param).name;
                         });

class DispatchGradients : public testing::TestWithParam<ModelCase> {};

TEST_P(DispatchGradients, EqualCentralDifferences) {
  const model::ModelOptions options = model_options(GetParam());
  const auto step = flat_step(options);
  const LayerBatch batch = layer_batches(options)[0];
  const auto run = run_layer_group(options, step, {batch}, {.workers = 2, .dispatch = {.max_bytes = 1}});

  const reference::Weights weights(options, 0, options.moe.experts);
  const reference::Model model(options, reference::kVocab);
  reference::Parameters parameters = weights.parameters();
  reference::Values input(batch.x.begin(), batch.x.end());
  const auto routed = model.route(parameters, kLayerPrefix, input, step.step, 0);
  const auto expected = model.moe(parameters, kLayerPrefix, input, routed);
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(run.microbatches[0].y[i], expected[i], 1e-4 * (1.0 + std::abs(expected[i])));
  const auto loss = [&] {
    const auto routing = model.route(parameters, kLayerPrefix, input, step.step, 0, &routed);
    const auto y = model.moe(parameters, kLayerPrefix, input, routing);
    double sum = routing.objective;
    for (std::size_t i = 0; i < y.size(); ++i) sum += batch.dy[i] * y[i];
    return sum;
  };
  EXPECT_LE(reference::gradient_error(run.microbatches[0].dx, input, loss), 1e-4);
  const auto check = [&](const ParameterTable& table, std::span<const float> gradient) {
    for (std::size_t i = 0; i < table.specs().size(); ++i) {
      const auto& spec = table.specs()[i];
      const std::string part = spec.name.substr(0, spec.name.find('/', kLayerPrefix.size()));
      if (part != kLayerPrefix + "router" && part != kLayerPrefix + "experts" &&
          part != kLayerPrefix + "shared_experts")
        continue;
      EXPECT_LE(reference::gradient_error(reference::tensor(table, gradient, i),
                                          parameters.at({spec.name, spec.expert}), loss, 24),
                1e-4)
          << spec.name << " expert " << spec.expert;
    }
  };
  check(weights.dense, run.microbatches[0].dense_gradient);
  check(weights.experts, run.expert_gradient);
}

INSTANTIATE_TEST_SUITE_P(Options, DispatchGradients, testing::ValuesIn(model_cases()),
                         [](const auto& instance) { return instance.param.name; });

TEST(Dispatch, DropsAreCountedPerExpertAndCountsStayThoseBeforeDrops) {
  const auto options = model_options(model_cases()[7]);  // drop_by_score
  const auto dropless = model_options(model_cases()[0]);
  const auto batches = layer_batches(options);
  const auto run = run_layer_group(options, flat_step(options), batches, {});
  const auto all = run_layer_group(dropless, flat_step(dropless), batches, {});
  for (std::size_t m = 0; m < batches.size(); ++m) {
    const auto tokens = std::ssize(batches[m].x) / options.hidden_size;
    const auto capacity = static_cast<std::int64_t>(std::ceil(2.0 * static_cast<double>(tokens) / 5.0 * 0.6));
    EXPECT_EQ(run.microbatches[m].counts, all.microbatches[m].counts);
    for (std::size_t expert = 0; expert < 5; ++expert) {
      const std::int64_t count = run.microbatches[m].counts[expert];
      EXPECT_EQ(run.microbatches[m].dropped[expert], std::max<std::int64_t>(0, count - capacity));
    }
    EXPECT_TRUE(all.microbatches[m].dropped.empty());
  }
}

TEST(Dispatch, ATokenWithoutAnyExpertHasTheSharedExpertsOutputOnly) {
  model::ModelOptions options = model_options(model_cases()[8]);  // drop_nearly_all
  options.moe.shared_experts = 0;
  const auto batches = layer_batches(options);
  const auto run = run_layer_group(options, flat_step(options), batches, {.workers = 3});
  std::int64_t silent = 0;
  for (std::int64_t t = 0; t < kTokens; ++t) {
    const auto begin = run.microbatches[0].y.begin() + t * options.hidden_size;
    silent += std::all_of(begin, begin + options.hidden_size, [](float v) { return v == 0.0F; }) ? 1 : 0;
  }
  EXPECT_GE(silent, kTokens - 5) << "five experts take one pair each";
}

TEST(Chunks, LowerThePeakOfActivationMemoryAndKeepTheBits) {
  model::ModelOptions options = model_options(model_cases()[0]);
  options.moe.experts = 12;
  options.moe.expert_size = 64;
  options.moe.shared_experts = 0;
  const auto step = flat_step(options);
  std::vector<LayerBatch> batches;
  for (std::uint64_t i = 0; i < 2; ++i) {
    const auto size = static_cast<std::size_t>(500 * options.hidden_size);
    batches.push_back({reference::random_values(30 + i, size), reference::random_values(40 + i, size)});
  }
  for (const int workers : {1, 2}) {
    const auto whole = run_layer_group(options, step, batches, {.workers = workers});
    const auto chunked =
        run_layer_group(options, step, batches, {.workers = workers, .dispatch = {.max_bytes = 1}});
    EXPECT_EQ(whole.chunks, 1);
    EXPECT_EQ(chunked.chunks, 12 / workers);
    EXPECT_TRUE(chunked.same_bits(whole));
    EXPECT_LT(chunked.peak_bytes, whole.peak_bytes / 2) << workers << " workers";
    EXPECT_GT(chunked.peak_bytes, whole.peak_bytes / 24) << workers << " workers";
  }
}

TEST(Chunks, ALimitThatIsNotReachedKeepsEverythingInOne) {
  const auto options = model_options(model_cases()[0]);
  const auto run = run_layer_group(options, flat_step(options), layer_batches(options),
                                   {.workers = 2, .dispatch = {.max_bytes = 1 << 20}});
  EXPECT_EQ(run.chunks, 1);
}

TEST(Bf16, RoundsAndStaysClose) {
  const auto options = model_options(model_cases()[0]);
  const auto batches = layer_batches(options);
  const auto exact = run_layer_group(options, flat_step(options), batches, {});
  const auto rounded =
      run_layer_group(options, flat_step(options), batches, {.dispatch = {.dtype = DispatchType::kBf16}});
  EXPECT_FALSE(rounded.same_bits(exact));
  double difference = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < exact.microbatches[0].dx.size(); ++i) {
    difference += std::pow(exact.microbatches[0].dx[i] - rounded.microbatches[0].dx[i], 2);
    norm += std::pow(exact.microbatches[0].dx[i], 2);
  }
  EXPECT_LT(std::sqrt(difference / norm), 0.01);
}

}  // namespace
}  // namespace troupe::experts
