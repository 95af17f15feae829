#include "benchmarks/bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace troupe::benchmarks {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Report example() {
  return {
      .title = "products",
      .unit = "GFLOP/s",
      .floor = "peak GEMM",
      .measurements = {{.what = "large", .seconds = {2.0, 1.0, 4.0, 7}, .amount = 10.0, .floor_seconds = 1.5},
                       {.what = "bare", .seconds = {0.25, 0.25, 0.25, 1}}},
      .parts = {{.name = "expert gemm", .seconds = 1.5, .share = 0.75, .calls = 3, .rate = 8.0},
                {.name = "expert rest", .seconds = 0.5, .share = 0.25}},
      .facts = {{"peak_gflops", 12.5}}};
}

TEST(BenchReport, TextHasMedianSpreadRateAndRatioOfEachLine) {
  const std::string text = to_text(example());
  EXPECT_THAT(text, HasSubstr("of peak GEMM"));
  EXPECT_THAT(text, ::testing::ContainsRegex("large +7 +2000\\.000 +3000\\.000 +5\\.0 +0\\.750"));
  EXPECT_THAT(text, ::testing::ContainsRegex("bare +1 +250\\.000 +0\\.000 +- +-"));
  EXPECT_THAT(text, ::testing::ContainsRegex("expert gemm +3 +1500\\.000 +75\\.00% +8\\.0"));
  EXPECT_THAT(text, ::testing::ContainsRegex("peak_gflops +12\\.5"));
}

TEST(BenchReport, JsonHasTheSameUnderTheSameNames) {
  const auto json = nlohmann::json::parse(to_json(example()));
  EXPECT_EQ(json["measurements"][0]["repeats"], 7);
  EXPECT_EQ(json["measurements"][0]["median_seconds"], 2.0);
  EXPECT_EQ(json["measurements"][0]["rate"], 5.0);
  EXPECT_EQ(json["measurements"][0]["of_floor"], 0.75);
  EXPECT_FALSE(json["measurements"][1].contains("rate"));
  EXPECT_FALSE(json["measurements"][1].contains("of_floor"));
  EXPECT_EQ(json["parts"][0]["share"], 0.75);
  EXPECT_EQ(json["peak_gflops"], 12.5);
}

TEST(BenchTiming, TakesTheMiddleOfWhatWasMeasured) {
  const Timing timing = summarize({5.0, 1.0, 3.0});
  EXPECT_EQ(timing.median, 3.0);
  EXPECT_EQ(timing.least, 1.0);
  EXPECT_EQ(timing.most, 5.0);
  EXPECT_EQ(timing.repeats, 3);
}

/// A clock that goes on by a second whenever it is read.
class SteppingClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return now_ += std::chrono::seconds(1); }
  [[nodiscard]] double wall_seconds() const override { return 0.0; }

 private:
  mutable TimePoint now_{};
};

TEST(BenchTiming, RepeatsUntilBothLimitsArePassedAndDoesNotCountTheFirstCall) {
  int calls = 0;
  const Timing few = time_repeated(SteppingClock(), {.least = 5, .seconds = 0.0}, [&] { ++calls; });
  EXPECT_EQ(few.repeats, 5);
  EXPECT_EQ(calls, 6);
  const Timing many = time_repeated(SteppingClock(), {.least = 1, .seconds = 30.0}, [] {});
  EXPECT_GT(many.repeats, 5);
  EXPECT_EQ(many.median, 1.0);
}

}  // namespace
}  // namespace troupe::benchmarks
