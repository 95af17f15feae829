#include "dashboard/jsonl_sink.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "tests/scratch_folder.h"

namespace troupe::dashboard {
namespace {

TEST(JsonlSink, AppendsOneObjectPerStepAndEvaluation) {
  const test::ScratchFolder folder;
  const std::filesystem::path path = folder / "metrics.jsonl";
  const StepRecord step{
      .time = 1.5,
      .step = 3,
      .tokens = 300,
      .metrics = {{"loss", 0.1 + 0.2}},
      .layers = {{.layer = 1, .counts = {4, 0}, .bias = {}, .metrics = {{"max_violation_batch", 1.0}}}}};
  JsonlSink(path).write(step);
  JsonlSink again(path);
  again.write(step);
  again.write(
      EvaluationRecord{.time = 2, .step = 3, .total = {1.25, 0.5, 8}, .domains = {{"c", {1.25, 0.5, 8}}}});

  std::ifstream file(path);
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], lines[1]);
  EXPECT_EQ(lines[0]["schema"], 2);
  EXPECT_EQ(lines[0]["metrics"]["loss"].get<double>(), 0.1 + 0.2) << "numbers keep all their bits";
  EXPECT_EQ(lines[0]["layers"],
            nlohmann::json::parse(R"({"layer":[1],"counts":["2,0,3,BA=="],"max_violation_batch":[1.0]})"));
  EXPECT_EQ(lines[2]["metrics"]["eval_loss"], 1.25);
  EXPECT_EQ(lines[2]["domains"]["c"]["eval_bits_per_byte"], 0.5);
}

/// What a model of 58 layers with 256 experts reports of a step: near an even load, with all its numbers.
StepRecord wide_step() {
  const Random random(1, RandomPurpose::kTest);
  StepRecord step{
      .time = 1.7e9, .step = 100'000, .tokens = 1LL << 40, .metrics = {{"loss", 2.1}}, .layers = {}};
  std::uint64_t next = 0;
  for (std::int64_t layer = 3; layer < 61; ++layer) {
    LayerRecord& record = step.layers.emplace_back();
    record.layer = layer;
    for (int expert = 0; expert < 256; ++expert)
      record.counts.push_back(600 + static_cast<std::int64_t>(random.below(next++, 120)));
    for (const char* name :
         {"max_violation_batch", "max_violation_window", "load_entropy", "dead_experts", "load_p05",
          "load_p50", "load_p95", "bias_min", "bias_max", "router_z", "aux_loss_layer"})
      record.metrics[name] = random.uniform(next++);
  }
  return step;
}

TEST(JsonlSink, WritesCompactLinesOfManyLayersAndExperts) {
  const test::ScratchFolder folder;
  const std::filesystem::path path = folder / "metrics.jsonl";
  const StepRecord step = wide_step();
  JsonlSink(path).write(step);
  std::int64_t as_objects = 0;  // what the counts and numbers of an object per layer took, without braces
  for (const LayerRecord& layer : step.layers) {
    as_objects += std::ssize(nlohmann::json(layer.counts).dump());
    as_objects += std::ssize(nlohmann::json(layer.metrics).dump());
  }
  EXPECT_GT(as_objects, 80'000);
  EXPECT_LT(static_cast<std::int64_t>(std::filesystem::file_size(path)), as_objects / 3);
}

}  // namespace
}  // namespace troupe::dashboard
