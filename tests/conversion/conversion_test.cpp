// What of other programs' models is refused, and how it is said. What is accepted:
// tests/golden/families_test.cpp.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "base/file.h"
#include "conversion/export.h"
#include "conversion/import.h"
#include "conversion/model_config.h"
#include "conversion/tensor_map.h"
#include "storage/checkpoint_path.h"
#include "storage/safetensors/folder.h"
#include "storage/safetensors/writer.h"
#include "tests/scratch_folder.h"
#include "tests/storage/expect_error.h"

namespace troupe::conversion {
namespace {

using storage::expect_error;
using storage::safetensors::FolderWriter;

/// A small qwen3_moe as its config.json says it.
json sound_config() {
  return {{"model_type", "qwen3_moe"},
          {"vocab_size", 8},
          {"hidden_size", 4},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 2},
          {"num_key_value_heads", 1},
          {"head_dim", 4},
          {"intermediate_size", 6},
          {"moe_intermediate_size", 3},
          {"num_experts", 3},
          {"num_experts_per_tok", 2},
          {"norm_topk_prob", true},
          {"mlp_only_layers", {0}},
          {"rope_theta", 1e6},
          {"rope_scaling", nullptr},
          {"max_position_embeddings", 16},
          {"tie_word_embeddings", true}};
}

json with(const std::string& key, const json& value) {
  json config = sound_config();
  config[key] = value;
  return config;
}

json without(const std::string& key) {
  json config = sound_config();
  config.erase(key);
  return config;
}

void expect_refused(const json& config, std::initializer_list<std::string> words) {
  expect_error([&] { (void)parse_config(config, "some/config.json"); }, ErrorCode::kConfig,
               {"some/config.json"});
  expect_error([&] { (void)parse_config(config, "some/config.json"); }, ErrorCode::kConfig, words);
}

/// A folder with the tensors of a config.json, numbered values, as `change` wants them.
template <class Change>
void write_folder(const std::filesystem::path& folder, const json& config, const Change& change) {
  const ReadConfig read = parse_config(config, "made");
  const TensorMap map(*read.family, read.run.model, *read.run.model.vocab_size);
  std::vector<FolderWriter::Tensor> tensors;
  for (const TheirTensor& tensor : map.tensors()) tensors.push_back({tensor.name, tensor.shape});
  change(tensors);
  std::int64_t count = 0;
  for (const auto& tensor : tensors)
    count += std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::int64_t{1}, std::multiplies<>());
  FolderWriter writer(folder, tensors, storage::safetensors::ValueType::kF32);
  std::vector<float> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 1.0F);
  writer.write(values);
  writer.finish();
  write_file_atomically(folder / "config.json", config.dump());
}

TEST(ModelConfig, KeysThatCannotBeSaidAreNamed) {
  EXPECT_EQ(parse_config(sound_config(), "some/config.json").run.model.moe.first_dense_layers, 1);
  expect_refused(with("model_type", "bert"), {"model_type", "'bert' is not known", "qwen3_moe"});
  expect_refused(without("model_type"), {"model_type", "missing"});
  expect_refused(without("hidden_size"), {"hidden_size", "missing"});
  expect_refused(with("hidden_size", "large"), {"hidden_size", "\"large\""});
  expect_refused(with("hidden_size", -4), {"hidden_size"});
  expect_refused(with("num_attention_heads", 0), {"num_attention_heads"});
}

TEST(ModelConfig, ValuesOfOtherModelsAreRefusedByKey) {
  expect_refused(with("use_sliding_window", true), {"use_sliding_window: it is true, only false"});
  expect_refused(with("hidden_act", "swish2"), {"hidden_act: \"swish2\" is not known here"});
  expect_refused(with("mlp_only_layers", {1}), {"mlp_only_layers: [1] with decoder_sparse_step 1"});
  expect_refused(with("decoder_sparse_step", 2), {"mlp_only_layers: [0] with decoder_sparse_step 2"});
  expect_refused(with("num_local_experts", 4), {"num_local_experts: it is 4, but num_experts is 3"});
  expect_refused(with("something_new", 7), {"these keys", "something_new = 7"});
  expect_refused(with("rope_parameters", {{"rope_type", "strange"}}), {"rope_type", "strange"});
  expect_refused(with("rope_parameters", {{"rope_type", "default"}, {"bend", 2}}),
                 {"rope_parameters", "bend = 2"});
}

TEST(ModelConfig, OptionsThatAFormatCannotSayAreNamed) {
  const model::ModelOptions sound = parse_config(sound_config(), "made").run.model;
  const auto refused = [&](const auto& change, std::initializer_list<std::string> words) {
    model::ModelOptions model = sound;
    change(model);
    expect_error([&] { (void)write_config(family_named("qwen3_moe"), model, 8, 16); }, ErrorCode::kConfig,
                 words);
  };
  EXPECT_NO_THROW((void)write_config(family_named("qwen3_moe"), sound, 8, 16));
  refused([](auto& model) { model.moe.router.score = experts::Score::kSigmoid; },
          {"qwen3_moe", "model.moe.router.score: sigmoid, softmax"});
  refused([](auto& model) { model.moe.shared_experts = 1; }, {"model.moe.shared_experts: 1, 0"});
  refused([](auto& model) { model.moe.router.zero_experts = 2; }, {"model.moe.router.zero_experts: 2, 0"});
  refused([](auto& model) { model.attention.output_gate = true; }, {"output_gate: true, false"});
  refused([](auto& model) { model.attention.stride = 4, model.attention.window = 2; }, {"stride: 4, 0"});
  refused(
      [](auto& model) { model.attention.rope.scaling = {.kind = model::RopeScalingKind::kNtk, .factor = 2}; },
      {"ntk"});
  refused([](auto& model) { model.norm.placement = model::NormPlacement::kDeepNorm; }, {"deepnorm"});
  refused([](auto& model) { model.logits.normed = true; }, {"model.logits.normed: true, false"});
  refused([](auto& model) { model.mup.base_width = 4; }, {"model.mup.base_width: 4, 0"});
  refused([](auto& model) { model.moe.output_scale = 0.5; }, {"model.moe.output_scale: 0.5, 1"});
  refused([](auto& model) { model.moe.router.softcap = 30.0; }, {"model.moe.router.softcap: 30.0, 0.0"});
  refused([](auto& model) { model.ffn.form.bias = true; }, {"model.ffn.bias: true, false"});
  refused([](auto& model) { model.moe.capacity.kind = experts::CapacityKind::kFactor; },
          {"model.moe.capacity.kind: factor, dropless"});
}

TEST(Import, TensorsThatAreMissingUnknownOrOfOtherShapesAreAllListed) {
  const test::ScratchFolder scratch;
  write_folder(scratch / "model", sound_config(), [](std::vector<FolderWriter::Tensor>& tensors) {
    tensors[0].shape = {4, 8};
    tensors[1].name = "model.layers.0.surprise";
    tensors.pop_back();
  });
  const ImportRequest request{.folder = scratch / "model", .output = scratch / "run"};
  expect_error([&] { import_model(request); }, ErrorCode::kCorrupt,
               {"'model.embed_tokens.weight' is [4, 8], expected [8, 4]",
                "'model.layers.0.surprise' is unknown", "'model.norm.weight' is missing"});
  EXPECT_FALSE(std::filesystem::exists(scratch / "run"));
}

TEST(Import, WhatIsNoPartOfTheModelIsLeftOutAndSaid) {
  const test::ScratchFolder scratch;
  write_folder(scratch / "model", sound_config(), [](std::vector<FolderWriter::Tensor>& tensors) {
    tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", {2}});
    tensors.push_back({"lm_head.weight", {8, 4}});  // tied
    tensors.push_back({"model.layers.2.eh_proj.weight", {4, 8}});
  });
  const ImportReport report = import_model({.folder = scratch / "model", .output = scratch / "run"});
  EXPECT_EQ(report.left_out,
            (std::vector<std::string>{"lm_head.weight", "model.layers.0.self_attn.rotary_emb.inv_freq",
                                      "model.layers.2.eh_proj.weight"}));
  EXPECT_EQ(report.config.data.sequence_length, 16);
  EXPECT_FALSE(report.has_tokenizer);
  expect_error([&] { import_model({.folder = scratch / "model", .output = scratch / "run"}); },
               ErrorCode::kConfig, {"is there and not empty"});
}

TEST(Import, PiecesOfAnySizeGiveTheSameCheckpoint) {
  const test::ScratchFolder scratch;
  write_folder(scratch / "model", sound_config(), [](auto&) {});
  std::vector<std::vector<float>> read;
  for (const std::int64_t bytes : {200, 1000, 1'000'000}) {
    const auto run = scratch / fmt::format("run{}", bytes);
    import_model({.folder = scratch / "model", .output = run, .piece_bytes = bytes});
    storage::CheckpointReader reader(storage::find_checkpoint(run));
    EXPECT_EQ(reader.manifest().metadata.workers > 1, bytes < 1'000'000);
    std::vector<float>& all = read.emplace_back();
    for (const storage::TensorEntry& tensor : reader.tensors()) {
      if (tensor.type != storage::ElementType::kF32) continue;
      std::vector<float> values(static_cast<std::size_t>(tensor.shape.elements()));
      reader.read(tensor.name, 0, std::span(values));
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  EXPECT_EQ(read[0], read[1]);
  EXPECT_EQ(read[0], read[2]);
}

TEST(Export, ABiasThatTheTypeHasNotIsRefused) {
  const test::ScratchFolder scratch;
  json config = sound_config();
  config.update({{"model_type", "dots1"},
                 {"n_routed_experts", 3},
                 {"n_shared_experts", 1},
                 {"first_k_dense_replace", 1}});
  for (const char* key : {"num_experts", "mlp_only_layers"}) config.erase(key);
  write_folder(scratch / "model", config, [](auto&) {});
  import_model({.folder = scratch / "model", .output = scratch / "run"});
  ExportRequest request;
  request.checkpoint = storage::find_checkpoint(scratch / "run");
  request.output = scratch / "out";
  request.model_type = "qwen3_moe";
  expect_error([&] { export_model(request); }, ErrorCode::kConfig,
               {"model.moe.router.score: sigmoid, softmax"});
  request.model_type.clear();
  EXPECT_EQ(export_model(request).model_type, "dots1");
  expect_error([&] { export_model(request); }, ErrorCode::kConfig, {"is there and not empty"});
}

}  // namespace
}  // namespace troupe::conversion
