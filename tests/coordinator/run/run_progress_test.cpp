#include "coordinator/run/run_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace troupe::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class Recorder final : public RunObserver {
 public:
  void step_finished(const StepView& step) override {
    run.push_back(step.report.step);
    layers.assign(step.layers.begin(), step.layers.end());
  }
  void note(Severity /*severity*/, const std::string& text) override { notes.push_back(text); }
  void worker_step_finished(const comm::StepFinished& report) override {
    workers.emplace_back(report.rank, report.step);
  }
  std::vector<std::int64_t> run;
  std::vector<LayerLoadStatistics> layers;  // of the last
  std::vector<std::string> notes;
  std::vector<std::pair<std::int64_t, std::int64_t>> workers;
};

comm::StepFinished report_of(std::int64_t rank, std::int64_t step) {
  comm::StepFinished report;
  report.rank = rank;
  report.step = step;
  report.tokens_total = 10 * step;
  report.metrics["loss"] = 1.0 / static_cast<double>(step);
  return report;
}

TEST(RunProgress, WarnsOfEverySkippedStepAndSaysWhatWasNotFinite) {
  Recorder recorder;
  RunProgress progress(1, 1, 0, 10, recorder);
  for (const std::int64_t step : {1, 2, 3}) {
    comm::StepFinished report = report_of(0, step);
    if (step > 1) report.skip_reason = "not finite: the loss of the text";
    progress.report(report, 0.0);
  }
  ASSERT_EQ(recorder.notes.size(), 2U);
  EXPECT_THAT(recorder.notes[1], ::testing::HasSubstr("step 3 was skipped"));
  EXPECT_THAT(recorder.notes[1], ::testing::HasSubstr("the loss of the text"));
}

TEST(RunProgress, WindowsGoOnFromTheStepsBeforeAResume) {
  const auto load_of = [](std::int64_t step) {
    return comm::LayerLoad{.layer = 1, .counts = {step, 10}, .bias = {}};
  };
  Recorder recorder;
  LoadMonitor whole;
  for (std::int64_t step = 1; step <= 7; ++step) {
    const auto expected = whole.observe(std::vector{load_of(step)});
    if (step < 7) continue;
    RunProgress resumed(1, 1, 6, 10, recorder);
    for (std::int64_t earlier = 1; earlier <= 6; ++earlier) resumed.remember(std::vector{load_of(earlier)});
    comm::StepFinished report = report_of(0, 7);
    report.loads = {load_of(7)};
    resumed.report(report, 0.0);
    EXPECT_EQ(recorder.layers, expected);
  }
}

TEST(RunProgress, TellsEachStepOfEachRankOnceAlsoWhenItIsReportedAgain) {
  Recorder recorder;
  RunProgress progress(1, 2, 4, 10, recorder);
  for (const auto& [rank, step] :
       std::vector<std::pair<int, int>>{{1, 5}, {0, 4}, {0, 5}, {0, 5}, {1, 5}, {0, 6}}) {
    progress.report(report_of(rank, step), 0.0);
  }
  EXPECT_THAT(recorder.run, ElementsAre(5, 6));
  EXPECT_THAT(recorder.workers, ElementsAre(Pair(1, 5), Pair(0, 5), Pair(0, 6)));
}

TEST(RunProgress, KeepsWorkerZerosNumbersOnly) {
  Recorder recorder;
  RunProgress progress(1, 2, 0, 10, recorder);
  EXPECT_EQ(progress.loss(), std::nullopt);
  progress.report(report_of(0, 1), 0.0);
  progress.report(report_of(1, 2), 0.0);
  EXPECT_EQ(progress.step(), 1);
  EXPECT_EQ(progress.tokens(), 10);
  EXPECT_EQ(progress.loss(), 1.0);
}

}  // namespace
}  // namespace troupe::coordinator
