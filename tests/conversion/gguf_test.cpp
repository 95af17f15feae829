// Models as GGUF files: where rows lie, what a tokenizer becomes, and what is refused.
// What llama.cpp makes of a file: tests/golden/read_gguf.py.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "base/file.h"
#include "conversion/exported_model.h"
#include "conversion/gguf_architecture.h"
#include "conversion/gguf_export.h"
#include "conversion/gguf_tokenizer.h"
#include "conversion/import.h"
#include "conversion/model_config.h"
#include "conversion/tensor_values.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer_json.h"
#include "storage/checkpoint_path.h"
#include "storage/safetensors/writer.h"
#include "tests/scratch_folder.h"
#include "tests/storage/expect_error.h"

namespace troupe::conversion {
namespace {

using storage::expect_error;

const std::filesystem::path kTokenizer =
    std::filesystem::path(TROUPE_SOURCE_DIR) / "tests/data/tiny" / data::kTokenizerFile;

json llama_config() {
  return {{"model_type", "llama"},
          {"vocab_size", 512},
          {"hidden_size", 8},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 2},
          {"num_key_value_heads", 1},
          {"head_dim", 4},
          {"intermediate_size", 6},
          {"rope_theta", 1e6},
          {"max_position_embeddings", 16},
          {"tie_word_embeddings", true}};
}

json qwen3_moe_config() {
  json config = llama_config();
  config.update({{"model_type", "qwen3_moe"},
                 {"moe_intermediate_size", 3},
                 {"num_experts", 3},
                 {"num_experts_per_tok", 2},
                 {"norm_topk_prob", true}});
  return config;
}

/// A run of numbered values.
ExportRequest imported(const test::ScratchFolder& scratch, const json& config) {
  const ReadConfig read = parse_config(config, "made");
  const TensorMap map(*read.family, read.run.model, *read.run.model.vocab_size);
  std::vector<storage::safetensors::FolderWriter::Tensor> tensors;
  std::int64_t count = 0;
  for (const TheirTensor& tensor : map.tensors()) {
    tensors.push_back({tensor.name, tensor.shape});
    count += std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::int64_t{1}, std::multiplies<>());
  }
  storage::safetensors::FolderWriter writer(scratch / "model", tensors,
                                            storage::safetensors::ValueType::kF32);
  std::vector<float> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 1.0F);
  writer.write(values);
  writer.finish();
  write_file_atomically(scratch / "model/config.json", config.dump());
  import_model({.folder = scratch / "model", .output = scratch / "run"});
  return {.checkpoint = storage::find_checkpoint(scratch / "run"),
          .output = scratch / "model.gguf",
          .tokenizer = kTokenizer,
          .model_type = {}};
}

struct Collected {
  std::vector<float> values;
  void write(std::span<const float> more) { values.insert(values.end(), more.begin(), more.end()); }
};

/// Of a tensor by a family's names.
std::vector<float> values_of(ExportedModel& model, const Family& family, const std::string& name) {
  const TensorMap map(family, model.options(), model.vocab_size());
  for (const TheirTensor& tensor : map.tensors()) {
    if (tensor.name != name) continue;
    Collected collected;
    write_values(model.reader(), tensor, collected);
    return collected.values;
  }
  ADD_FAILURE() << "no " << name;
  return {};
}

TEST(GgufTensors, LlamasQueriesAndKeysHaveRotatedPairsBesideEachOther) {
  const test::ScratchFolder scratch;
  ExportedModel model(imported(scratch, llama_config()));
  const Family& gguf = gguf_architecture("llama").family;
  for (const auto& [ours, theirs] :
       {std::pair{"blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight"},
        {"blk.1.attn_k.weight", "model.layers.1.self_attn.k_proj.weight"}}) {
    const std::vector<float> paired = values_of(model, gguf, ours);
    const std::vector<float> halves = values_of(model, model.family(), theirs);
    ASSERT_EQ(paired.size(), halves.size());
    constexpr std::size_t kColumns = 8;
    constexpr std::size_t kHead = 4;
    for (std::size_t row = 0; row < halves.size() / kColumns; ++row) {
      const std::size_t channel = row % kHead;
      const std::size_t place = row - channel + channel % 2 * 2 + channel / 2;  // 0 2 1 3
      for (std::size_t column = 0; column < kColumns; ++column)
        EXPECT_EQ(paired[row * kColumns + column], halves[place * kColumns + column])
            << ours << " row " << row;
    }
  }
  EXPECT_EQ(values_of(model, gguf, "blk.0.attn_v.weight"),
            values_of(model, model.family(), "model.layers.0.self_attn.v_proj.weight"));
}

TEST(GgufTensors, ExpertsAreStacked) {
  const test::ScratchFolder scratch;
  ExportedModel model(imported(scratch, qwen3_moe_config()));
  const std::vector<float> stacked =
      values_of(model, gguf_architecture("qwen3_moe").family, "blk.1.ffn_up_exps.weight");
  std::vector<float> expected;
  for (int expert = 0; expert < 3; ++expert) {
    const auto one =
        values_of(model, model.family(), fmt::format("model.layers.1.mlp.experts.{}.up_proj.weight", expert));
    expected.insert(expected.end(), one.begin(), one.end());
  }
  EXPECT_EQ(stacked, expected);
}

json golden_config(const std::string& folder) {
  const auto file =
      std::filesystem::path(TROUPE_SOURCE_DIR) / "tests/golden/families" / folder / "config.json";
  constexpr std::size_t kMaximumBytes = 1 << 16;
  return json::parse(read_file(file, kMaximumBytes));
}

/// What a file of the model that a config.json describes would say, by key; kConfig where it cannot be said.
std::map<std::string, storage::gguf::Value> facts_of(const json& config) {
  const ReadConfig read = parse_config(config, "made");
  const GgufArchitecture& architecture = gguf_architecture(read.family->model_type);
  const std::int64_t vocab = *read.run.model.vocab_size;
  const TensorMap all_have_names(architecture.family, gguf_model(read.run.model), vocab);
  constexpr std::int64_t kContext = 64;
  GgufFacts facts(architecture.family.model_type, read.run.model, vocab, kContext);
  for (const GgufFact& fact : architecture.facts) fact(facts);
  return {facts.metadata().begin(), facts.metadata().end()};
}

TEST(GgufTensors, NormsOfGemmaHaveTheWholeFactor) {
  const test::ScratchFolder scratch;
  json config = golden_config("gemma2");
  config["vocab_size"] = 512;
  ExportedModel model(imported(scratch, config));
  for (const char* name : {"blk.1.post_ffw_norm.weight", "output_norm.weight"}) {
    const std::vector<float> whole = values_of(model, gguf_architecture("gemma2").family, name);
    std::vector<float> ours =
        values_of(model, model.family(),
                  name[0] == 'b' ? "model.layers.1.post_feedforward_layernorm.weight" : "model.norm.weight");
    for (float& value : ours) value += 1.0F;
    EXPECT_EQ(whole, ours) << name;
  }
}

TEST(GgufFacts, SayWhatLlamaCppMustKnow) {
  auto facts = facts_of(golden_config("qwen2"));
  EXPECT_EQ(std::get<std::string>(facts.at("qwen2.rope.scaling.type")), "yarn");
  EXPECT_EQ(std::get<std::uint32_t>(facts.at("qwen2.rope.scaling.original_context_length")), 16);
  facts = facts_of(golden_config("minimax_m2"));
  EXPECT_EQ(std::get<std::uint32_t>(facts.at("minimax-m2.rope.dimension_count")), 8) << "of 16";
  facts = facts_of(golden_config("glm4_moe"));
  EXPECT_EQ(std::get<std::uint32_t>(facts.at("glm4moe.leading_dense_block_count")), 1);
  EXPECT_EQ(std::get<std::uint32_t>(facts.at("glm4moe.expert_gating_func")), 2);
  facts = facts_of(golden_config("gpt2"));
  EXPECT_EQ(std::get<std::uint32_t>(facts.at("gpt2.feed_forward_length")), 128);
  EXPECT_TRUE(facts.contains("gpt2.attention.layer_norm_epsilon"));
  for (const char* folder : {"llama-biases", "mixtral", "qwen3_moe", "olmo2", "phi3", "ernie4_5"})
    EXPECT_NO_THROW(facts_of(golden_config(folder))) << folder;
}

/// The smallest change to a tiny model that has something else.
TEST(GgufFacts, RefuseByNameWhatLlamaCppComputesOtherwise) {
  const std::map<std::string, std::string> all{{"mistral", "model.attention.window"},
                                               {"qwen3", "model.attention.window"},
                                               {"olmoe", "fewer model.attention.kv_heads"},
                                               {"dots1", "fewer model.attention.kv_heads"},
                                               {"gpt_oss", "rope.scaling.truncate: false"},
                                               {"deepseek_v2", "group_score: max"},
                                               {"deepseek_v3", "mscale other than mscale_all_dim"},
                                               {"smollm3", "positions: none in other layers"},
                                               {"gemma2", "model.attention.softmax_scale"},
                                               {"gemma3_text", "other layers with a model.attention.window"},
                                               {"cohere2", "other layers with a model.attention.window"}};
  for (const auto& [folder, words] : all)
    expect_error([&] { facts_of(golden_config(folder)); }, ErrorCode::kConfig, {words, "--format hf"});
  json config = golden_config("phi3");
  config["head_dim"] = 16;
  expect_error([&] { facts_of(config); }, ErrorCode::kConfig, {"model.attention.head_dim"});
  config = golden_config("cohere2");
  config.update({{"num_hidden_layers", 4}, {"layer_types", nullptr}, {"tie_word_embeddings", false}});
  expect_error([&] { facts_of(config); }, ErrorCode::kConfig, {"model.tie_embeddings: false"});
}

TEST(GgufTokenizer, HasATokenForEveryRowAndKindsForAll) {
  const data::Tokenizer tokenizer = data::read_tokenizer_json(kTokenizer);
  const std::int64_t rows = tokenizer.vocab_size() + 3;
  std::map<std::string, storage::gguf::Value> metadata;
  for (auto& [key, value] : gguf_tokenizer(tokenizer, rows)) metadata[key] = value;
  const auto& tokens = std::get<std::vector<std::string>>(metadata.at("tokenizer.ggml.tokens"));
  const auto& kinds = std::get<std::vector<std::int32_t>>(metadata.at("tokenizer.ggml.token_type"));
  const auto& merges = std::get<std::vector<std::string>>(metadata.at("tokenizer.ggml.merges"));
  ASSERT_EQ(std::ssize(tokens), rows);
  ASSERT_EQ(std::ssize(kinds), rows);
  EXPECT_EQ(std::set<std::string>(tokens.begin(), tokens.end()).size(), tokens.size()) << "names differ";
  const auto end = static_cast<std::size_t>(tokenizer.end_of_text());
  EXPECT_EQ(tokens[end], "<|endoftext|>");
  EXPECT_EQ(kinds[end], 3);
  EXPECT_EQ(kinds.back(), 5);
  const auto space_t = static_cast<std::size_t>(tokenizer.encode(" t").front());
  EXPECT_EQ(tokens[space_t], "Ġt");
  EXPECT_EQ(kinds[space_t], 1);
  EXPECT_EQ(merges.size(), tokenizer.vocabulary().merges.size());
  EXPECT_EQ(std::get<std::string>(metadata.at("tokenizer.ggml.pre")), "gpt-2");
  EXPECT_EQ(std::get<std::uint32_t>(metadata.at("tokenizer.ggml.eos_token_id")), end);
}

TEST(GgufExport, WhatTheArchitectureComputesOtherwiseIsRefused) {
  const auto refused = [](const json& config, std::initializer_list<std::string> words) {
    const test::ScratchFolder scratch;
    const ExportRequest request = imported(scratch, config);
    expect_error([&] { export_gguf(request); }, ErrorCode::kConfig, words);
    EXPECT_FALSE(std::filesystem::exists(request.output));
  };
  json config = qwen3_moe_config();
  config["mlp_only_layers"] = {0};
  refused(config, {"qwen3moe cannot say layers without experts", "--format hf"});
  config = qwen3_moe_config();
  config["norm_topk_prob"] = false;
  refused(config, {"normalize_weights: false"});
  config = llama_config();
  config["sliding_window"] = 8;
  config["model_type"] = "mistral";
  refused(config, {"model.attention.window"});
}

TEST(GgufExport, NeedsATokenizerAndANewFile) {
  const test::ScratchFolder scratch;
  ExportRequest request = imported(scratch, llama_config());
  EXPECT_EQ(export_gguf(request).model_type, "llama");
  expect_error([&] { export_gguf(request); }, ErrorCode::kConfig, {"is there"});
  request.output = scratch / "other.gguf";
  request.tokenizer.clear();
  expect_error([&] { export_gguf(request); }, ErrorCode::kConfig, {"has its tokenizer in it"});
}

}  // namespace
}  // namespace troupe::conversion
