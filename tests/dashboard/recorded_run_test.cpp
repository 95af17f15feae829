#include "dashboard/recorded_run.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "dashboard/jsonl_sink.h"

namespace troupe::dashboard {
namespace {

using nlohmann::json;

StepRecord step_record(std::int64_t step) {
  return {.time = 10.0 + static_cast<double>(step),
          .step = step,
          .tokens = 64 * step,
          .metrics = {{"loss", 4.0 / static_cast<double>(step)}},
          .layers = {{.layer = 1,
                      .counts = {6, 2, 0, 0},
                      .bias = {},
                      .dropped = {1, 0, 0, 0},
                      .domains = {3, 1, 0, 0},
                      .metrics = {{"load_entropy", 0.4}}}}};
}

class RecordedRunTest : public ::testing::Test {
 protected:
  RecordedRunTest() { JsonlSink{path_}; }
  ~RecordedRunTest() override { std::filesystem::remove(path_); }

  void append(const std::string& text) { std::ofstream(path_, std::ios::app) << text; }
  [[nodiscard]] json steps() const { return json::parse(hub_.history_json())["steps"]; }

  std::filesystem::path path_ =
      std::filesystem::path(::testing::TempDir()) / ("recorded" + std::to_string(::getpid()) + ".jsonl");
  MetricsHub hub_{{}};
  RecordedRun run_{path_, hub_};
};

TEST_F(RecordedRunTest, ShowsWhatTheHubOfTheRunShowed) {
  MetricsHub live({});
  JsonlSink file(path_);
  StepRecord not_finite = step_record(2);
  not_finite.metrics["grad_norm"] = std::numeric_limits<double>::infinity();
  const EvaluationRecord evaluation{.time = 1,
                                    .step = 2,
                                    .total = {1.25, 0.5, 8, 0.75},
                                    .domains = {{"c", {1.25, 0.5, 8}}},
                                    .layers = {{.layer = 1, .metrics = {{"domain_distance", 0.25}}}}};
  not_finite.layers.front().metrics["router_z"] = std::nan("");
  not_finite.layers.push_back(
      {.layer = 2, .counts = {1, 2, 3, 4}, .bias = {}, .zero_compute = 7, .metrics = {}});
  for (const StepRecord& step : {step_record(1), not_finite}) {
    live.record(step);
    file.write(step);
  }
  live.record(evaluation);
  file.write(evaluation);
  run_.poll();
  EXPECT_EQ(hub_.history_json(), live.history_json());
  EXPECT_EQ(hub_.loads_json(), live.loads_json());
  EXPECT_EQ(hub_.shares_json(), live.shares_json());
  EXPECT_EQ(json::parse(hub_.state_json())["evaluations"], json::parse(live.state_json())["evaluations"]);
  EXPECT_EQ(run_.last_step(), 2);
  EXPECT_EQ(run_.last_time(), 12.0);
}

TEST_F(RecordedRunTest, ReadsLinesOfEarlierVersions) {
  append(R"({"schema":1,"time":11,"step":1,"tokens":64,"metrics":{"loss":4.0},"layers":[{"layer":1,)"
         R"("counts":[6,2,0,0],"dropped":[1,0,0,0],"domain_counts":[3,1,0,0],"load_entropy":0.4}]})"
         "\n");
  MetricsHub live({});
  live.record(step_record(1));
  run_.poll();
  EXPECT_EQ(hub_.history_json(), live.history_json());
  EXPECT_EQ(hub_.loads_json(), live.loads_json());
  EXPECT_EQ(hub_.shares_json(), live.shares_json());
}

TEST_F(RecordedRunTest, FollowsLinesOnceTheyAreWhole) {
  JsonlSink file(path_);
  file.write(step_record(1));
  run_.poll();
  append(R"({"schema":1,"time":1,"step":2,"tokens":128,"metrics":{"loss":1},)");
  run_.poll();
  EXPECT_EQ(steps(), json({1}));
  append("\"layers\":[]}\n");
  run_.poll();
  run_.poll();
  EXPECT_EQ(steps(), json({1, 2}));
  EXPECT_EQ(run_.unreadable_lines(), 0);
}

TEST_F(RecordedRunTest, GoesOnWithAFileThatAResumeCutBack) {
  {
    JsonlSink file(path_);
    for (const std::int64_t step : {1, 2, 3}) file.write(step_record(step));
  }
  run_.poll();
  const std::string text = read_file(path_, 1 << 20);
  write_file_atomically(path_, text.substr(0, text.find('\n') + 1));
  run_.poll();
  JsonlSink file(path_);
  for (const std::int64_t step : {2, 3, 4}) file.write(step_record(step));
  run_.poll();
  EXPECT_EQ(steps(), json({1, 2, 3, 4}));
}

TEST_F(RecordedRunTest, PassesOverWhatItCannotReadAndCountsIt) {
  append("\xff\xfe\n{\"schema\":1}\n[]\n");
  append(R"({"time":1,"step":1,"tokens":1,"metrics":{},"layers":{"layer":[1],"counts":["4,0,3,Fg"]}})"
         "\n");
  JsonlSink(path_).write(step_record(1));
  run_.poll();
  EXPECT_EQ(steps(), json({1}));
  EXPECT_EQ(run_.unreadable_lines(), 4);
}

TEST_F(RecordedRunTest, SaysThatThereIsNoFile) {
  std::filesystem::remove(path_);
  EXPECT_THROW(run_.poll(), Error);
}

TEST(ParseSamples, TellsPromptsFromWhatTheModelWrote) {
  const auto samples =
      parse_samples("== step 50\nThe cat\nsat.\n\n== step 100\ndef x\n== step by step\n\n", {"The", "def x"});
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].step, 50);
  EXPECT_EQ(samples[0].prompt, "The");
  EXPECT_EQ(samples[0].text, " cat\nsat.");
  EXPECT_EQ(samples[1].prompt, "def x");
  EXPECT_EQ(samples[1].text, "\n== step by step");
}

}  // namespace
}  // namespace troupe::dashboard
