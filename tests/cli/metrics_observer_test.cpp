#include "cli/run/metrics_observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/base/file_limit.h"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class MetricsObserverTest : public ::testing::Test {
 protected:
  MetricsObserverTest()
      : folder_(fs::path(::testing::TempDir()) / ("metrics_observer_test_" + std::to_string(::getpid()))),
        made_(fs::create_directories(folder_)),
        file_(folder_ / "metrics.jsonl"),
        observer_(hub_, file_, folder_ / "samples.txt", clock_) {}
  ~MetricsObserverTest() override { fs::remove_all(folder_); }

  void step(std::int64_t number) {
    comm::StepFinished report;
    report.step = number;
    observer_.step_finished({0.0, 1, 10, report, {}});
  }
  /// Of the lines of metrics.jsonl, each of which must be whole.
  [[nodiscard]] std::vector<std::int64_t> steps() const {
    std::vector<std::int64_t> result;
    std::ifstream lines(folder_ / "metrics.jsonl");
    for (std::string line; std::getline(lines, line);) result.push_back(nlohmann::json::parse(line)["step"]);
    return result;
  }

  fs::path folder_;
  bool made_;
  ManualClock clock_;
  dashboard::MetricsHub hub_{{}};
  dashboard::JsonlSink file_;
  MetricsObserver observer_;
};

TEST_F(MetricsObserverTest, AFullDeviceCostsLinesAndNotTheRun) {
  step(1);
  {
    const FileLimit limit(fs::file_size(folder_ / "metrics.jsonl") + 10);
    step(2);
    step(3);
    observer_.evaluation_finished({});
    observer_.sample_finished({3, std::string(200, 'a'), "b"});
  }
  step(4);
  EXPECT_THAT(steps(), ElementsAre(1, 4));
  EXPECT_EQ(nlohmann::json::parse(hub_.state_json())["step"]["step"], 4) << "the page goes on";
}

}  // namespace
}  // namespace troupe::cli
