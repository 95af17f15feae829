#include "dashboard/jsonl_sink.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

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
  EXPECT_EQ(lines[0]["schema"], 1);
  EXPECT_EQ(lines[0]["metrics"]["loss"].get<double>(), 0.1 + 0.2) << "numbers keep all their bits";
  EXPECT_EQ(lines[0]["layers"][0]["counts"], nlohmann::json({4, 0}));
  EXPECT_EQ(lines[2]["metrics"]["eval_loss"], 1.25);
  EXPECT_EQ(lines[2]["domains"]["c"]["eval_bits_per_byte"], 0.5);
}

}  // namespace
}  // namespace troupe::dashboard
