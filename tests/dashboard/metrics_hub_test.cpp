#include "dashboard/metrics_hub.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace troupe::dashboard {
namespace {

using nlohmann::json;

StepRecord step_record(std::int64_t step, double loss) {
  return {
      .time = 1.0,
      .step = step,
      .tokens = step * 100,
      .metrics = {{"loss", loss}},
      .layers = {
          {.layer = 1, .counts = {6, 2, 0, 0}, .bias = {0, 0, 0, 0}, .metrics = {{"load_entropy", 0.4}}},
          {.layer = 2, .counts = {2, 2, 2, 2}, .bias = {0, 0, 0, 0}, .metrics = {{"load_entropy", 1.0}}}}};
}

TEST(MetricsHub, HistoryHasOneColumnPerMetricAsLongAsTheSteps) {
  MetricsHub hub({});
  hub.record(step_record(1, 3.0));
  StepRecord second = step_record(2, 2.0);
  second.metrics["aux_loss"] = 1.5;
  hub.record(second);
  const json history = json::parse(hub.history_json());
  EXPECT_EQ(history["steps"], json({1, 2}));
  EXPECT_EQ(history["metrics"]["loss"], json({3.0, 2.0}));
  EXPECT_EQ(history["metrics"]["aux_loss"], json({nullptr, 1.5}));
}

TEST(MetricsHub, ARollBackForgetsWhatCameAfterIt) {
  MetricsHub hub({});
  for (std::int64_t step = 1; step <= 5; ++step) hub.record(step_record(step, 1.0));
  hub.record(EvaluationRecord{.time = 0, .step = 2, .total = {}, .domains = {}});
  hub.record(EvaluationRecord{.time = 0, .step = 4, .total = {}, .domains = {}});
  hub.record(RestartRecord{
      .step = 3, .failed_step = 5, .epoch = 2, .workers = 2, .reason = {}, .rolled_back = true});
  hub.record(step_record(4, 2.0));
  EXPECT_EQ(json::parse(hub.history_json())["steps"], json({1, 2, 3, 4}));
  EXPECT_EQ(json::parse(hub.history_json())["metrics"]["loss"], json({1.0, 1.0, 1.0, 2.0}));
  EXPECT_EQ(json::parse(hub.state_json())["evaluations"].size(), 1U);
  EXPECT_EQ(json::parse(hub.state_json())["run"]["roll_backs"], 1);
  EXPECT_EQ(json::parse(hub.state_json())["run"]["restarts"], 0);
  EXPECT_EQ(json::parse(hub.loads_json())["frames"].size(), 4U);
}

TEST(MetricsHub, CurvesShowTheWorstLayer) {
  MetricsHub hub({});
  hub.record(step_record(1, 3.0));
  EXPECT_EQ(json::parse(hub.history_json())["metrics"]["load_entropy"], json({0.4}));
}

TEST(MetricsHub, LoadIsRelativeToTheLayersMean) {
  MetricsHub hub({});
  hub.record(step_record(1, 3.0));
  const json loads = json::parse(hub.loads_json());
  EXPECT_EQ(loads["layers"], json({1, 2}));
  EXPECT_EQ(loads["frames"][0]["load"][0], json({3.0, 1.0, 0.0, 0.0}));
}

TEST(MetricsHub, StaysBoundedAndKeepsTheWholeRunInView) {
  MetricsHub hub({});
  const auto steps = static_cast<std::int64_t>(3 * MetricsHub::kCurvePoints);
  for (std::int64_t step = 1; step <= steps; ++step) hub.record(step_record(step, 1.0));
  const json history = json::parse(hub.history_json());
  EXPECT_LE(history["steps"].size(), MetricsHub::kCurvePoints);
  EXPECT_EQ(history["metrics"]["loss"].size(), history["steps"].size());
  EXPECT_EQ(history["steps"].front(), 1);
  EXPECT_GT(history["steps"].back(), steps - 8);
  EXPECT_LE(json::parse(hub.loads_json())["frames"].size(), MetricsHub::kLoadFrames);
}

TEST(MetricsHub, ALaggingReaderGetsTheNewestEvents) {
  MetricsHub hub({});
  for (std::size_t i = 0; i < MetricsHub::kEvents + 10; ++i) hub.set_state("state " + std::to_string(i));
  const auto events = hub.events_since(0);
  EXPECT_EQ(events.text.find("\"state 9\""), std::string::npos);
  EXPECT_NE(events.text.find("\"state 10\""), std::string::npos);
  EXPECT_EQ(hub.events_since(events.next).text, "");
}

TEST(MetricsHub, ManyWorkersDoNotDriveOtherEventsOut) {
  MetricsHub hub({});
  hub.record(step_record(1, 3.0));
  for (std::int64_t rank = 0; rank < 2 * static_cast<std::int64_t>(MetricsHub::kEvents); ++rank)
    hub.record_phases(rank, {{"forward", 0.25}});
  EXPECT_NE(hub.events_since(0).text.find("event: step"), std::string::npos);
}

TEST(MetricsHub, AReaderGetsTheNewestWorkersOnceWithTheirPhases) {
  MetricsHub hub({});
  hub.set_workers({{.rank = 0, .host = "old"}}, 1);
  hub.set_workers({{.rank = 0, .host = "new"}}, 2);
  hub.record_phases(0, {{"forward", 0.25}});
  const auto events = hub.events_since(0);
  constexpr std::string_view kHead = "event: workers\ndata: ";
  ASSERT_TRUE(events.text.starts_with(kHead));
  const json data = json::parse(events.text.substr(kHead.size()));
  ASSERT_EQ(data["workers"].size(), 1U);
  EXPECT_EQ(data["workers"][0]["host"], "new");
  EXPECT_EQ(data["phases"]["0"]["forward"], 0.25);
  EXPECT_EQ(data["epoch"], 2);
  EXPECT_EQ(hub.events_since(events.next).text, "");
}

TEST(MetricsHub, ValuesThatJsonCannotSayAreNull) {
  MetricsHub hub({});
  hub.record(step_record(1, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_TRUE(json::parse(hub.history_json())["metrics"]["loss"][0].is_null());
}

TEST(MetricsHub, TextThatIsNotUtf8IsStillJson) {
  MetricsHub hub({});
  hub.record(SampleRecord{.step = 1, .prompt = "a", .text = "\xff\xfe"});
  EXPECT_TRUE(json::accept(hub.state_json()));
}

}  // namespace
}  // namespace troupe::dashboard
