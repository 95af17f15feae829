#include "optimizer/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace troupe::optimizer {
namespace {

ScheduleOptions options(ScheduleKind kind) {
  return {.kind = kind, .warmup = 10, .decay = 20, .decay_shape = DecayShape::kLinear, .final_ratio = 0.1};
}

TEST(Schedule, WarmsUpFromOneOverWarmup) {
  for (const auto kind :
       {ScheduleKind::kConstant, ScheduleKind::kCosine, ScheduleKind::kWsd, ScheduleKind::kMultiStep}) {
    EXPECT_DOUBLE_EQ(learning_rate_factor(options(kind), 1, 100), 0.1);
    EXPECT_DOUBLE_EQ(learning_rate_factor(options(kind), 5, 100), 0.5);
    EXPECT_DOUBLE_EQ(learning_rate_factor(options(kind), 10, 100), 1.0);
  }
}

TEST(Schedule, CosineIsHalfwayInTheMiddleAndEndsAtTheFinalRatio) {
  EXPECT_NEAR(learning_rate_factor(options(ScheduleKind::kCosine), 55, 100), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate_factor(options(ScheduleKind::kCosine), 100, 100), 0.1, 1e-12);
}

TEST(Schedule, WsdStaysAtOneAndDecaysOverTheLastSteps) {
  const auto wsd = options(ScheduleKind::kWsd);
  EXPECT_DOUBLE_EQ(learning_rate_factor(wsd, 80, 100), 1.0);
  EXPECT_NEAR(learning_rate_factor(wsd, 90, 100), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate_factor(wsd, 100, 100), 0.1, 1e-12);
}

TEST(Schedule, WsdDecayShapes) {
  auto wsd = options(ScheduleKind::kWsd);
  wsd.final_ratio = 0.0;
  wsd.decay_shape = DecayShape::kSqrt;
  EXPECT_NEAR(learning_rate_factor(wsd, 85, 100), 0.5, 1e-12);
  wsd.decay_shape = DecayShape::kCosine;
  EXPECT_NEAR(learning_rate_factor(wsd, 85, 100), 0.5 * (1 + std::cos(M_PI / 4)), 1e-12);
}

TEST(Schedule, MultiStepDropsAtEightyAndNinetyPercent) {
  const auto multi = options(ScheduleKind::kMultiStep);
  EXPECT_DOUBLE_EQ(learning_rate_factor(multi, 80, 100), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_factor(multi, 81, 100), std::sqrt(0.1));
  EXPECT_DOUBLE_EQ(learning_rate_factor(multi, 90, 100), std::sqrt(0.1));
  EXPECT_DOUBLE_EQ(learning_rate_factor(multi, 91, 100), 0.1);
}

}  // namespace
}  // namespace troupe::optimizer
