// What layers declare against what a pass takes from the arena.
#include "model/activation_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <thread>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "model/layer_spec.h"
#include "model/transformer.h"
#include "tests/reference/fixtures.h"

namespace troupe::model {
namespace {

constexpr std::int64_t kLength = 64;
constexpr std::int64_t kTokens = 2 * kLength;

struct Setting {
  ModelOptions options = reference::tiny_options();
  int workers = 1;
  layout::DispatchOptions dispatch = {};
  bool recompute = false;
  bool one_sided = false;  // every token goes to the first worker's experts

  [[nodiscard]] TransformerShape shape() const { return {reference::kVocab, kLength, kTokens, 0, recompute}; }
  [[nodiscard]] layout::LayerPlacement placement() const {
    return layout::LayerPlacement::contiguous(static_cast<int>(options.moe.experts), workers);
  }
  /// Of the worker that holds the most experts.
  [[nodiscard]] experts::DispatchGroup group() const {
    return {workers, std::ssize(placement().experts_at(0)), dispatch};
  }
};

std::int64_t peak_of_worker(const Setting& setting, comm::Communicator& communicator) {
  const layout::LayerPlacement placement = setting.placement();
  const auto local = placement.experts_at(communicator.rank());
  const reference::Weights weights(setting.options, local.front(), local.back() + 1);
  const reference::Batch batch =
      reference::random_batch(static_cast<std::uint64_t>(communicator.rank()), 2, kLength);
  reference::FlatStep step(setting.options, reference::random_step(setting.options, {batch}));
  const auto choices = static_cast<std::size_t>(setting.options.moe.choices());
  if (setting.one_sided) {
    for (std::size_t i = 0; i < step.bias.size(); ++i) step.bias[i] = i % choices < 2 ? 1e3F : 0.0F;
  }
  const auto layers = static_cast<std::size_t>(moe_layers(setting.options));
  Transformer model(setting.options, setting.shape(), weights.dense, weights.experts,
                    {communicator, layout::Placement(layers, placement), setting.dispatch}, {1});
  std::vector<float> dense(weights.dense_values.size());
  std::vector<float> experts(weights.expert_values.size());
  const std::vector<TensorView> lanes{experts};
  const std::vector<int> lane_of_source(static_cast<std::size_t>(setting.workers), 0);
  MicrobatchResult result = model.make_result();
  model.forward_backward(reference::as_input(batch), step.context(),
                         {weights.dense_values, weights.expert_values},
                         {.dense = dense, .expert_lanes = lanes, .lane_of_source = lane_of_source}, result);
  return static_cast<std::int64_t>(model.activation_peak_bytes());
}

/// Of the worker that takes the most.
std::int64_t measured_peak(const Setting& setting) {
  auto communicators = comm::make_inproc_group(setting.workers);
  std::vector<std::int64_t> peaks(communicators.size());
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < peaks.size(); ++rank)
    threads.emplace_back([&, rank] { peaks[rank] = peak_of_worker(setting, *communicators[rank]); });
  for (auto& thread : threads) thread.join();
  return std::ranges::max(peaks);
}

std::int64_t declared(const Setting& setting, const experts::RoutedRows& rows) {
  return activation_bytes(setting.options, setting.shape(), rows);
}
experts::RoutedRows most(const Setting& setting) {
  return experts::most_rows(setting.options.moe, setting.options.hidden_size, kTokens, setting.group());
}
experts::RoutedRows even(const Setting& setting) {
  return experts::even_rows(setting.options.moe, setting.options.hidden_size, kTokens, setting.group());
}

struct Change {
  const char* name;
  std::function<void(Setting&)> apply;
};
void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }

/// One worker: its rows are known, and so is every byte.
class DeclaredMemory : public testing::TestWithParam<Change> {};

TEST_P(DeclaredMemory, IsWhatAPassTakes) {
  Setting setting;
  GetParam().apply(setting);
  const auto peak = static_cast<double>(measured_peak(setting));
  const auto expected = static_cast<double>(declared(setting, even(setting)));
  EXPECT_GE(expected, 0.99 * peak);
  EXPECT_LE(expected, 1.02 * peak);
}

experts::RouterOptions& router(Setting& setting) { return setting.options.moe.router; }

INSTANTIATE_TEST_SUITE_P(
    Layers, DeclaredMemory,
    testing::Values(
        Change{"as_it_is", [](Setting&) {}},
        Change{"dense", [](Setting& setting) { setting.options.moe.first_dense_layers = 3; }},
        Change{"experts_everywhere", [](Setting& setting) { setting.options.moe.first_dense_layers = 0; }},
        Change{"recompute", [](Setting& setting) { setting.recompute = true; }},
        Change{"without_qk_norm",
               [](Setting& setting) { setting.options.attention.qk_norm = QkNorm::kNone; }},
        Change{"sandwich_of_plus_one",
               [](Setting& setting) {
                 setting.options.norm.placement = NormPlacement::kSandwich;
                 setting.options.norm.kind = layers::NormKind::kRmsPlusOne;
                 setting.options.residual_multiplier = 2.0;
                 setting.options.logits.softcap = 3.0;
               }},
        Change{"parallel_layer_norm",
               [](Setting& setting) {
                 setting.options.norm.placement = NormPlacement::kParallel;
                 setting.options.norm.kind = layers::NormKind::kLayerNorm;
                 setting.options.embedding.positions = kLength;
                 setting.options.dropout.residual = 0.1;
               }},
        Change{"latent_attention",
               [](Setting& setting) {
                 setting.options.attention.kind = AttentionKind::kMla;
                 setting.options.attention.latent.query_rank = 24;
               }},
        Change{"l2_norm_temperature_and_a_query_latent",
               [](Setting& setting) {
                 setting.options.attention.qk_norm = QkNorm::kL2;
                 setting.options.attention.temperature = 0.1;
                 setting.options.attention.query_rank = 20;
               }},
        Change{"output_gate_deepnorm_and_a_normed_head",
               [](Setting& setting) {
                 setting.options.attention.output_gate = true;
                 setting.options.norm.placement = NormPlacement::kDeepNorm;
                 setting.options.logits.normed = true;
               }},
        Change{"gated_latent_attention_and_scaled_experts",
               [](Setting& setting) {
                 setting.options.attention.kind = AttentionKind::kMla;
                 setting.options.attention.output_gate = true;
                 setting.options.moe.first_dense_layers = 0;
                 setting.options.moe.output_scale = 0.5;
               }},
        Change{"further_tokens", [](Setting& setting) { setting.options.mtp.depth = 2; }},
        Change{"further_tokens_computed_again",
               [](Setting& setting) {
                 setting.options.mtp.depth = 2;
                 setting.recompute = true;
               }},
        Change{"shortcut",
               [](Setting& setting) {
                 setting.options.layers = 4;
                 setting.options.moe.first_dense_layers = 0;
                 setting.options.moe.every = 2;
                 setting.options.moe.shortcut = true;
               }},
        Change{"untied", [](Setting& setting) { setting.options.tie_embeddings = false; }},
        Change{"without_gate",
               [](Setting& setting) {
                 setting.options.ffn.form = {layers::Activation::kRelu2, true};
               }},
        Change{"no_shared_expert", [](Setting& setting) { setting.options.moe.shared_experts = 0; }},
        Change{"shared_gate", [](Setting& setting) { setting.options.moe.shared_gate = true; }},
        Change{"noisy_top_k",
               [](Setting& setting) {
                 router(setting).selection = experts::Selection::kNoisyTopK;
                 router(setting).score = experts::Score::kSoftmax;
                 router(setting).softmax_after_topk = true;
                 setting.options.moe.balancer.kind = experts::BalancerKind::kNone;
               }},
        Change{"jitter", [](Setting& setting) { router(setting).jitter = 0.1; }},
        Change{"orthogonal_loss",
               [](Setting& setting) {
                 setting.options.moe.aux_loss = {{.kind = experts::AuxLossKind::kOrthogonal}};
               }},
        Change{"group_limited",
               [](Setting& setting) {
                 router(setting).selection = experts::Selection::kGroupLimited;
                 router(setting).groups = 5;
                 router(setting).top_groups = 3;
                 router(setting).group_score = experts::GroupScore::kMax;
               }},
        Change{"expert_choice",
               [](Setting& setting) {
                 router(setting).selection = experts::Selection::kExpertChoice;
                 setting.options.moe.capacity.factor = 1.0;
                 setting.options.moe.balancer.kind = experts::BalancerKind::kNone;
               }}),
    testing::PrintToStringParamName());

/// Several workers: no routing takes more than the bound, and the most one-sided one takes nearly all.
class MemoryBound : public testing::TestWithParam<Change> {};

TEST_P(MemoryBound, HoldsForTheMostOneSidedRouting) {
  Setting setting{.workers = 2, .one_sided = true};
  GetParam().apply(setting);
  const auto peak = static_cast<double>(measured_peak(setting));
  const auto bound = static_cast<double>(declared(setting, most(setting)));
  EXPECT_GE(bound, peak);
  EXPECT_LE(bound, 1.2 * peak);
  EXPECT_LT(static_cast<double>(declared(setting, even(setting))), 0.9 * bound);
}

INSTANTIATE_TEST_SUITE_P(
    Exchanges, MemoryBound,
    testing::Values(Change{"direct", [](Setting&) {}},
                    Change{"bf16",
                           [](Setting& setting) { setting.dispatch.dtype = layout::DispatchType::kBf16; }},
                    Change{"recompute", [](Setting& setting) { setting.recompute = true; }},
                    Change{"three_workers", [](Setting& setting) { setting.workers = 3; }}),
    testing::PrintToStringParamName());

TEST(ActivationMemory, ChunksBoundWhatIsReceivedAtOnce) {
  Setting setting{.workers = 2, .one_sided = true};
  const std::int64_t whole = declared(setting, most(setting));
  setting.dispatch.max_bytes = kTokens * setting.options.hidden_size * 4;
  EXPECT_LT(declared(setting, most(setting)), whole);
  EXPECT_GE(declared(setting, most(setting)), measured_peak(setting));
  EXPECT_GE(activation_bytes_bound(setting.options, setting.shape(), setting.group()),
            declared(setting, most(setting)));
}

}  // namespace
}  // namespace troupe::model
