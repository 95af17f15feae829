#include "coordinator/run/metrics_history.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace troupe::coordinator {
namespace {

TEST(MetricsHistory, ReadsTheCountsOfTheLastStepsOldestFirst) {
  const auto file = std::filesystem::path(::testing::TempDir()) / ("history_" + std::to_string(::getpid()));
  {
    std::ofstream lines(file);
    for (int step = 1; step <= 3; ++step) {
      lines << R"({"schema":1,"step":)" << step << R"(,"layers":[{"layer":1,"counts":[)" << step
            << R"(,5]},{"layer":3,"counts":[7,8],"load_entropy":1.0}]})"
            << "\n";
      lines << R"({"schema":1,"step":)" << step << R"(,"metrics":{"eval_loss":1.5}})"
            << "\n";
    }
    lines << R"({"schema":2,"step":4,"layers":{"counts":["2,4,1,Ag==","2,7,1,Ag=="],"layer":[1,3]}})"
          << "\n";
    lines << R"({"schema":1,"step":5,"layers":[{"layer":1,"coun)";  // cut short
  }
  const auto history = read_recent_loads(file, 3);
  std::filesystem::remove(file);
  ASSERT_EQ(history.size(), 3U);
  ASSERT_EQ(history[0].size(), 2U);
  EXPECT_EQ(history[0][0].layer, 1);
  EXPECT_EQ(history[0][0].counts, (std::vector<std::int64_t>{2, 5}));
  EXPECT_EQ(history[2][0].counts, (std::vector<std::int64_t>{4, 5}));
  EXPECT_EQ(history[2][1].layer, 3);
  EXPECT_EQ(history[2][1].counts, (std::vector<std::int64_t>{7, 8}));
}

TEST(MetricsHistory, OfARunWithoutAFileIsEmpty) { EXPECT_TRUE(read_recent_loads("nowhere", 5).empty()); }

}  // namespace
}  // namespace troupe::coordinator
