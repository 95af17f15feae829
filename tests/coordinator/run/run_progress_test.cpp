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
  void step_finished(const StepView& step) override { run.push_back(step.report.step); }
  void worker_step_finished(const comm::StepFinished& report) override {
    workers.emplace_back(report.rank, report.step);
  }
  std::vector<std::int64_t> run;
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
