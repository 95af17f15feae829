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

TEST(Schedule, LengthsBelowOneArePartsOfTheRun) {
  EXPECT_EQ(length_in_steps(0.0, 100), 0);
  EXPECT_EQ(length_in_steps(40.0, 10), 40);
  EXPECT_EQ(length_in_steps(1.0, 100), 1);
  EXPECT_EQ(length_in_steps(0.29, 100), 29);  // 0.29 * 100 is below 29 in binary
  EXPECT_EQ(length_in_steps(0.5, 3), 1);      // rounded down, so that parts of one run fit into it
  auto parts = options(ScheduleKind::kWsd);
  parts.warmup = 0.1;
  parts.decay = 0.2;
  for (std::int64_t step = 1; step <= 100; ++step) {
    EXPECT_EQ(learning_rate_factor(parts, step, 100),
              learning_rate_factor(options(ScheduleKind::kWsd), step, 100));
  }
}

// The end lies one step after the last: the decays below reach final_ratio at step 101 of 100.
TEST(Schedule, CosineIsHalfACosineThatEndsAfterTheLastStep) {
  const auto cosine = options(ScheduleKind::kCosine);
  for (const std::int64_t step : {10, 23, 55, 78, 100}) {
    const double progress = static_cast<double>(step - 10) / 91.0;
    EXPECT_NEAR(learning_rate_factor(cosine, step, 100), 0.1 + 0.9 * 0.5 * (1 + std::cos(M_PI * progress)),
                1e-12)
        << step;
  }
  EXPECT_NEAR(learning_rate_factor(cosine, 101, 100), 0.1, 1e-12);
}

TEST(Schedule, EveryStepOfARunLearns) {
  for (const auto kind : {ScheduleKind::kCosine, ScheduleKind::kWsd}) {
    for (const auto shape : {DecayShape::kLinear, DecayShape::kCosine, DecayShape::kSqrt}) {
      auto schedule = options(kind);
      schedule.final_ratio = 0.0;
      schedule.decay_shape = shape;
      for (std::int64_t step = 1; step <= 100; ++step)
        EXPECT_GT(learning_rate_factor(schedule, step, 100), 1e-4) << step;
    }
  }
}

TEST(Schedule, ConstantStaysAtOne) {
  for (const int step : {11, 55, 100})
    EXPECT_DOUBLE_EQ(learning_rate_factor(options(ScheduleKind::kConstant), step, 100), 1.0);
}

TEST(Schedule, WsdStaysAtOneAndDecaysOverTheLastSteps) {
  const auto wsd = options(ScheduleKind::kWsd);
  EXPECT_DOUBLE_EQ(learning_rate_factor(wsd, 80, 100), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_factor(wsd, 40, 100), 1.0);
  EXPECT_NEAR(learning_rate_factor(wsd, 90, 100), 1.0 - 0.9 * 10.0 / 21.0, 1e-12);
  EXPECT_NEAR(learning_rate_factor(wsd, 100, 100), 1.0 - 0.9 * 20.0 / 21.0, 1e-12);
}

TEST(Schedule, WsdDecayShapes) {
  auto wsd = options(ScheduleKind::kWsd);
  wsd.final_ratio = 0.0;
  wsd.decay_shape = DecayShape::kSqrt;
  EXPECT_NEAR(learning_rate_factor(wsd, 85, 100), 1.0 - std::sqrt(5.0 / 21.0), 1e-12);
  wsd.decay_shape = DecayShape::kCosine;
  EXPECT_NEAR(learning_rate_factor(wsd, 85, 100), 0.5 * (1 + std::cos(M_PI * 5.0 / 21.0)), 1e-12);
  EXPECT_NEAR(learning_rate_factor(wsd, 95, 100), 0.5 * (1 + std::cos(M_PI * 15.0 / 21.0)), 1e-12);
}

TEST(Schedule, MultiStepDropsAtEightyAndNinetyPercent) {
  const auto multi = options(ScheduleKind::kMultiStep);
  EXPECT_DOUBLE_EQ(learning_rate_factor(multi, 80, 100), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_factor(multi, 81, 100), std::sqrt(0.1));
  EXPECT_DOUBLE_EQ(learning_rate_factor(multi, 90, 100), std::sqrt(0.1));
  EXPECT_DOUBLE_EQ(learning_rate_factor(multi, 91, 100), 0.1);
}

TEST(Schedule, MultiStepDropsAtItsMilestones) {
  auto multi = options(ScheduleKind::kMultiStep);
  multi.milestones = {0.6, 1.0};
  EXPECT_DOUBLE_EQ(learning_rate_factor(multi, 60, 100), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_factor(multi, 61, 100), std::sqrt(0.1));
  EXPECT_DOUBLE_EQ(learning_rate_factor(multi, 100, 100), std::sqrt(0.1))
      << "the whole run comes before its end";
}

}  // namespace
}  // namespace troupe::optimizer
