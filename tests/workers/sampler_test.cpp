// What a model writes: with a cache of keys and values as without, alone as among others, on every layout.
#include "workers/sampler.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/index.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "data/tokenizer/tokenizer_json.h"
#include "model/cost.h"
#include "model/generation/decoder.h"
#include "tensor/parallel.h"
#include "tests/end_to_end/inproc_training.h"
#include "workers/continuations.h"
#include "workers/training_options.h"

namespace troupe::workers {
namespace {

using model::AttentionOptions;

constexpr SamplingRule kGreedy{.temperature = 0.0};

const data::TokenDataset& dataset() {
  static const data::TokenDataset dataset = test::tiny_dataset();
  return dataset;
}
const data::Tokenizer& tokenizer() {
  static const data::Tokenizer tokenizer =
      data::read_tokenizer_json(std::string(TROUPE_SOURCE_DIR) + "/tests/data/tiny/tokenizer.json");
  return tokenizer;
}

/// Ten prompts of many lengths.
std::vector<Prompt> prompts() {
  std::vector<Prompt> prompts;
  const std::string text = "The quick brown fox jumps over the lazy dog, and then it sleeps.";
  for (std::int64_t i = 0; i < 10; ++i) {
    Prompt& prompt = prompts.emplace_back();
    prompt.text = text.substr(at(3 * i), at(1 + 5 * (i * 7 % 10)));
    prompt.number = i;
  }
  return prompts;
}

using Change = std::function<void(model::ModelOptions&)>;

TrainingOptions options(const Change& change) {
  TrainingOptions options = test::tiny_options(dataset());
  options.data.sequence_length = 64;
  options.model.init.std = 0.3;  // so that texts differ
  if (change) change(options.model);
  return options;
}

/// Calls body(model) on every worker.
template <class Body>
void on_workers(int workers, const Change& change, const Body& body) {
  const TrainingOptions training = options(change);
  const layout::Layout layout(training.batch, workers, workers, static_cast<int>(training.model.moe.experts));
  const SystemClock clock;
  std::vector<std::jthread> threads;
  for (auto& communicator : comm::make_inproc_group(workers)) {
    threads.emplace_back([&, world = std::move(communicator)] {
      use_one_library_thread();
      model::Model model(model_setup(training, layout, 0), layout, *world, clock);
      model.initialize();
      body(model);
    });
  }
}

std::vector<Written> written(int workers, const Change& change, std::span<const Prompt> prompts,
                             std::int64_t tokens, const SamplingRule& rule) {
  std::vector<Written> result;
  on_workers(workers, change, [&](model::Model& model) {
    auto own = Sampler(model, tokenizer()).write(prompts, tokens, rule);
    if (model.rank() == 0) result = std::move(*own);
  });
  return result;
}

struct Mixers {
  const char* name;
  Change change;
};

std::vector<Mixers> mixers() {
  const auto changed = [](auto change) {
    return [change](model::ModelOptions& model) { change(model.attention); };
  };
  return {{"grouped", [](model::ModelOptions&) {}},
          {"one_key_head", changed([](AttentionOptions& a) {
             a.kind = model::AttentionKind::kMqa;
             a.kv_heads = 1;
           })},
          {"biases", changed([](AttentionOptions& a) { a.qkv_bias = a.out_bias = true; })},
          {"norm_of_heads", changed([](AttentionOptions& a) { a.qk_norm = model::QkNorm::kPerHead; })},
          {"norm_of_all_heads", changed([](AttentionOptions& a) { a.qk_norm = model::QkNorm::kFull; })},
          {"interleaved", changed([](AttentionOptions& a) {
             a.rope.pairing = model::RopePairing::kInterleaved;
             a.rope.fraction = 0.5;
             a.softmax_scale = 0.5;
           })},
          {"yarn", changed([](AttentionOptions& a) {
             a.rope.scaling = {.kind = model::RopeScalingKind::kYarn, .factor = 4.0, .original_length = 16};
           })},
          {"window", changed([](AttentionOptions& a) { a.window = 5; })},
          {"window_in_chunks", changed([](AttentionOptions& a) {
             a.window = 5;
             a.chunk = 7;
             a.sinks = true;
           })},
          {"local_and_full",
           [](model::ModelOptions& model) {
             model.mixers = {{"local", model.attention}, {"full", model.attention}};
             model.mixers[0].options.window = 4;
             model.layer_pattern = {"local", "full"};
           }},
          {"chunk", changed([](AttentionOptions& a) { a.chunk = 7; })},
          {"sinks", changed([](AttentionOptions& a) { a.sinks = true; })},
          {"softcap", changed([](AttentionOptions& a) { a.softcap = 2.0; })},
          {"no_positions", changed([](AttentionOptions& a) { a.positions = model::Positions::kNone; })},
          {"alibi", changed([](AttentionOptions& a) { a.positions = model::Positions::kAlibi; })},
          {"l2_and_temperature", changed([](AttentionOptions& a) {
             a.qk_norm = model::QkNorm::kL2;
             a.temperature = 0.5;
             a.temperature_length = 4;
           })},
          {"output_gate", changed([](AttentionOptions& a) { a.output_gate = true; })},
          {"stride", changed([](AttentionOptions& a) {
             a.window = 2;
             a.stride = 5;
           })},
          {"log_temperature_and_ntk", changed([](AttentionOptions& a) {
             a.temperature = 2.0;
             a.temperature_shape = model::TemperatureShape::kLog;
             a.temperature_length = 4;
             a.rope.scaling = {.kind = model::RopeScalingKind::kNtk, .factor = 4.0};
           })},
          {"normed_head_deepnorm_and_mup",
           [](model::ModelOptions& model) {
             model.logits.normed = true;
             model.norm.placement = model::NormPlacement::kDeepNorm;
             model.mup = {.base_width = 16, .base_head_dim = 4};
           }},
          {"queries_from_a_latent", changed([](AttentionOptions& a) { a.query_rank = 8; })},
          {"latent", changed([](AttentionOptions& a) {
             a.kind = model::AttentionKind::kMla;
             a.latent = {.query_rank = 12, .kv_rank = 8, .nope_dim = 6, .rope_dim = 4, .value_dim = 8};
           })},
          {"latent_in_a_window", changed([](AttentionOptions& a) {
             a.kind = model::AttentionKind::kMla;
             a.latent = {.query_rank = 0, .kv_rank = 12, .nope_dim = 5, .rope_dim = 6, .value_dim = 7};
             a.window = 6;
             a.softcap = 3.0;
             a.softmax_scale = 0.4;
           })},
          {"scaled_latent_and_shortcut",
           [](model::ModelOptions& model) {
             model.layers = 4;
             model.moe.first_dense_layers = 0;
             model.moe.every = 2;
             model.moe.shortcut = true;
             model.moe.router.zero_experts = 2;
             model.attention.kind = model::AttentionKind::kMla;
             model.attention.latent = {.query_rank = 12,
                                       .kv_rank = 8,
                                       .nope_dim = 6,
                                       .rope_dim = 4,
                                       .value_dim = 8,
                                       .query_scale = 1.5,
                                       .kv_scale = 0.5};
           }},
          {"further_tokens", [](model::ModelOptions& model) { model.mtp.depth = 2; }},
          {"learned_positions", [](model::ModelOptions& model) { model.embedding.positions = 64; }},
          {"parallel",
           [](model::ModelOptions& model) { model.norm.placement = model::NormPlacement::kParallel; }},
          {"post_residual",
           [](model::ModelOptions& model) { model.norm.placement = model::NormPlacement::kPostResidual; }},
          {"sandwich",
           [](model::ModelOptions& model) { model.norm.placement = model::NormPlacement::kSandwich; }}};
}

class CachedWriting : public testing::TestWithParam<std::size_t> {
 protected:
  Change change_ = mixers()[GetParam()].change;
};

TEST_P(CachedWriting, TokensAreThoseOfWholePasses) {
  const std::vector<Prompt> all = prompts();
  constexpr std::int64_t kTokens = 12;
  const std::vector<Written> cached = written(1, change_, all, kTokens, kGreedy);
  on_workers(1, change_, [&](model::Model& model) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto whole = make_recomputed_continuations(model, 1);
      std::vector<std::vector<std::int32_t>> added{{tokenizer().document_start()}};
      const auto ids = tokenizer().encode(all[i].text);
      added[0].insert(added[0].end(), ids.begin(), ids.end());
      for (std::size_t t = 0; t < cached[i].tokens.size(); ++t) {
        const std::array<std::int64_t, 1> lengths{std::ssize(added[0])};
        whole->add(lengths, added);
        const auto logits = whole->logits(0).first(at(tokenizer().vocab_size()));
        ASSERT_EQ(cached[i].tokens[t], choose_token(logits, kGreedy, 0.0)) << all[i].text << ", token " << t;
        EXPECT_NEAR(cached[i].log_probabilities[t], log_probability(logits, cached[i].tokens[t]), 2e-4);
        added[0] = {cached[i].tokens[t]};
      }
    }
  });
}

TEST_P(CachedWriting, KeepsWhatIsDescribed) {
  on_workers(1, change_, [&](model::Model& model) {
    constexpr std::int64_t kCapacity = 40;
    const model::Decoder decoder(model, {.sequences = 3, .capacity = kCapacity}, 8);
    EXPECT_EQ(decoder.cache_bytes(), 3 * 4 * model::cached_numbers(model.options(), kCapacity));
  });
}

TEST_P(CachedWriting, TextsTogetherAreThoseOfEachAlone) {
  const std::vector<Prompt> all = prompts();
  const std::vector<Written> together = written(1, change_, all, 10, {});
  for (std::size_t i = 0; i < all.size(); i += 3)
    EXPECT_EQ(together[i].tokens, written(1, change_, {&all[i], 1}, 10, {}).front().tokens) << all[i].text;
}

INSTANTIATE_TEST_SUITE_P(Mixers, CachedWriting, testing::Range(std::size_t{0}, mixers().size()),
                         [](const auto& instance) { return mixers()[instance.param].name; });

TEST(Sampler, EveryLayoutWritesTheSame) {
  const std::vector<Prompt> all = prompts();
  const std::vector<Written> alone = written(1, {}, all, 10, {});
  for (const int workers : {2, 3}) {
    const std::vector<Written> others = written(workers, {}, all, 10, {});
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(others[i].tokens, alone[i].tokens) << workers;
      EXPECT_EQ(others[i].log_probabilities, alone[i].log_probabilities) << workers;
    }
  }
}

TEST(Sampler, WritesOnBeyondTheSequenceWithTheLaterHalf) {
  const std::vector<Prompt> one{Prompt{.text = "The "}};
  for (const int workers : {1, 2}) {
    const std::vector<Written> result = written(workers, {}, one, 150, kGreedy);
    EXPECT_GT(result[0].tokens.size(), 64U);
  }
}

TEST(Sampler, NothingThatIsNoTokenTakesAnExpertsPlaces) {
  // One token at a time, capacity never drops it: its only experts have room. With filler tokens it was
  // dropped.
  const Change with_capacity = [](model::ModelOptions& model) {
    model.moe.capacity = {.kind = experts::CapacityKind::kFactor, .factor = 1.0};
  };
  std::vector<Prompt> one{Prompt{.text = "T"}};
  const auto tokens = written(1, with_capacity, one, 1, kGreedy)[0].tokens;
  on_workers(1, with_capacity, [&](model::Model& model) {
    const auto cached = make_cached_continuations(model, 1, 8, 1);
    const std::vector<std::vector<std::int32_t>> added{{tokenizer().document_start()}};
    const std::array<std::int64_t, 1> lengths{1};
    cached->add(lengths, added);
    const std::vector<float> with(cached->logits(0).begin(), cached->logits(0).end());
    std::vector<float> without;
    on_workers(1, {}, [&](model::Model& dropless) {
      const auto all = make_cached_continuations(dropless, 1, 8, 1);
      all->add(lengths, added);
      without.assign(all->logits(0).begin(), all->logits(0).end());
    });
    EXPECT_EQ(with, without);
  });
  EXPECT_EQ(tokens.size(), 1U);
}

TEST(Sampler, AStopEndsTheTextAndIsNoPartOfIt) {
  std::vector<Prompt> one{Prompt{.text = "The"}};
  const SamplingRule rule{.temperature = 1.5, .top_k = 0};
  const std::string text = written(1, {}, one, 40, rule)[0].text;
  ASSERT_GT(text.size(), 12U);
  const std::string stop = text.substr(6, 3);
  one[0].stops = {"never written", stop};
  std::string streamed;
  on_workers(1, {}, [&](model::Model& model) {
    const auto result =
        Sampler(model, tokenizer()).write(one, 40, rule, [&](std::string_view some) { streamed += some; });
    EXPECT_EQ(result->front().text, text.substr(0, text.find(stop)));
    EXPECT_EQ(result->front().end, WritingEnd::kStop);
  });
  EXPECT_EQ(streamed, text.substr(0, text.find(stop)));
}

}  // namespace
}  // namespace troupe::workers
