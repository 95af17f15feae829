// Segments and weights that are cut into several pieces, against one dense feed-forward per expert.
#include "experts/ffn/expert_ffn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "layers/feed_forward.h"
#include "tests/experts/layer_run.h"

namespace troupe::experts {
namespace {

constexpr std::int64_t kHidden = 272;
constexpr std::int64_t kExpertSize = 144;  // 288 outputs of gate and up
constexpr std::array<std::int64_t, 3> kRows{600, 0, 40};
constexpr std::int64_t kTokens = 640;
const std::string kDensePrefix = "layers/00/ffn/";

model::ModelOptions large_options() {
  model::ModelOptions options = reference::tiny_options();
  options.hidden_size = kHidden;
  options.ffn.intermediate_size = kExpertSize;
  options.ffn.form.bias = true;
  options.moe.experts = std::ssize(kRows);
  options.moe.expert_size = kExpertSize;
  return options;
}

/// Outputs and gradients of all rows; gradients of weights in the buffers' layout.
struct Results {
  std::vector<float> y = std::vector<float>(kTokens * kHidden);
  std::vector<float> dx = std::vector<float>(kTokens * kHidden);
  std::vector<float> gradient;
};

class ExpertFfnPieces : public testing::Test {
 protected:
  const Shape shape_{kTokens, kHidden};

  Results experts(int threads) {
    auto group = comm::make_inproc_group(1);
    const ExpertGroup expert_group{
        *group[0], layout::LayerPlacement::contiguous(static_cast<int>(options_.moe.experts), 1)};
    const auto exchange = make_exchange(*group[0], {});
    Results results{.gradient = std::vector<float>(weights_.expert_values.size())};
    const std::array<TensorView, 1> lanes{results.gradient};
    const std::array<int, 1> lane_of_source{0};
    const Pass pass{.execution = {threads},
                    .arena = arena_,
                    .experts = weights_.expert_values,
                    .expert_gradient_lanes = lanes,
                    .lane_of_source = lane_of_source};
    DispatchPlan plan(expert_group, *exchange, 1);
    const TensorView dispatched = arena_.allocate({kTokens, 1}, DType::kI32);
    std::int32_t* next = dispatched.i32();
    for (std::size_t expert = 0; expert < kRows.size(); ++expert)
      next = std::fill_n(next, kRows[expert], static_cast<std::int32_t>(expert));
    plan.exchange_counts(arena_, dispatched, 4 * kHidden);
    const ExpertFfn ffn(options_.ffn.form, weights_.experts, kLayerPrefix + "experts/", kExpertSize,
                        expert_group.local());
    const DispatchChunk chunk = plan.chunk(0);
    const auto saved = ffn.allocate(arena_, chunk, kHidden);
    std::ranges::copy(x_, saved.input.f32());
    ffn.forward(pass, chunk, saved, {results.y.data(), shape_});
    ffn.backward(pass, chunk, dy(), saved, {results.dx.data(), shape_});
    return results;
  }

  /// The rows of one expert through a dense layer with its weights.
  Results dense(std::int64_t expert, std::int64_t first) {
    std::vector<float> values(weights_.dense_values.size());
    for_tensors(expert, [&](std::size_t in_experts, std::size_t in_dense) {
      std::ranges::copy(reference::tensor(weights_.experts, weights_.expert_values, in_experts),
                        weights_.dense.view(std::span(values), in_dense).floats().begin());
    });
    Results results{.gradient = std::vector<float>(values.size())};
    const Pass pass{.execution = {1}, .arena = arena_, .dense = values, .dense_gradient = results.gradient};
    const layers::FeedForward ffn(options_.ffn.form, weights_.dense, kDensePrefix, kExpertSize);
    const std::int64_t rows = kRows[static_cast<std::size_t>(expert)];
    const auto part = [&](auto& all) { return TensorView(all.data(), shape_).rows(first, rows); };
    const auto saved = ffn.allocate(arena_, rows);
    ffn.expand(pass, x().rows(first, rows), saved);
    ffn.contract(pass, saved, part(results.y));
    ffn.backward_contract(pass, dy().rows(first, rows), saved);
    ffn.backward_expand(pass, dy().rows(first, rows), x().rows(first, rows), saved, part(results.dx));
    return results;
  }

  /// Calls body(index in experts' table, index in dense table) for an expert's tensors.
  template <class Body>
  void for_tensors(std::int64_t expert, const Body& body) const {
    for (const char* name : {"gate_up_proj", "gate_up_bias", "down_proj", "down_bias"}) {
      body(weights_.experts.find(kLayerPrefix + "experts/" + name, expert),
           weights_.dense.find(kDensePrefix + name, -1));
    }
  }

  static void expect_near(std::span<const float> actual, std::span<const float> expected, const char* what) {
    ASSERT_EQ(actual.size(), expected.size());
    float largest = 0.0F;
    for (const float value : expected) largest = std::max(largest, std::abs(value));
    for (std::size_t i = 0; i < actual.size(); ++i)
      ASSERT_NEAR(actual[i], expected[i], 1e-5F * largest) << what << " element " << i;
  }

  [[nodiscard]] ConstTensorView x() const { return {x_.data(), shape_}; }
  [[nodiscard]] ConstTensorView dy() const { return {dy_.data(), shape_}; }

  model::ModelOptions options_ = large_options();
  reference::Weights weights_{options_, 0, options_.moe.experts};
  std::vector<float> x_ = reference::random_values(1, kTokens* kHidden);
  std::vector<float> dy_ = reference::random_values(2, kTokens* kHidden);
  Arena arena_{1 << 27};
};

TEST_F(ExpertFfnPieces, ComputeWhatADenseLayerWithTheExpertsWeightsDoes) {
  const Results actual = experts(1);
  std::int64_t first = 0;
  for (std::int64_t expert = 0; expert < std::ssize(kRows); ++expert) {
    const std::int64_t rows = kRows[static_cast<std::size_t>(expert)];
    const Results expected = dense(expert, first);
    const auto part = [&](const std::vector<float>& all) {
      return std::span(all).subspan(static_cast<std::size_t>(first * kHidden),
                                    static_cast<std::size_t>(rows * kHidden));
    };
    expect_near(part(actual.y), part(expected.y), "y");
    expect_near(part(actual.dx), part(expected.dx), "dx");
    for_tensors(expert, [&](std::size_t in_experts, std::size_t in_dense) {
      expect_near(reference::tensor(weights_.experts, actual.gradient, in_experts),
                  reference::tensor(weights_.dense, expected.gradient, in_dense),
                  weights_.dense.specs()[in_dense].name.c_str());
    });
    first += rows;
  }
}

TEST_F(ExpertFfnPieces, HaveTheSameBitsForEveryNumberOfThreads) {
  const Results one = experts(1);
  for (const int threads : {2, 3}) {
    const Results several = experts(threads);
    EXPECT_TRUE(several.y == one.y && several.dx == one.dx && several.gradient == one.gradient)
        << threads << " threads";
  }
}

}  // namespace
}  // namespace troupe::experts
