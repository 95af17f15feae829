#include "workers/step/loss_window.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troupe::workers {
namespace {

using ::testing::HasSubstr;

/// Losses 3 and 5 in turn: mean 4, standard deviation 1.
LossWindow window(std::size_t steps) {
  LossWindow result;
  for (std::size_t i = 0; i < steps; ++i) result.add(i % 2 == 0 ? 3.0 : 5.0);
  return result;
}

TEST(LossWindow, NothingIsASpikeBeforeTheWindowIsFull) {
  EXPECT_EQ(loss_spike(window(LossWindow::kSteps - 1), 1e9, 6.0), "");
  EXPECT_NE(loss_spike(window(LossWindow::kSteps), 1e9, 6.0), "");
}

TEST(LossWindow, OnlyALossSoFarAboveTheMeanIsASpike) {
  const LossWindow full = window(LossWindow::kSteps);
  EXPECT_EQ(loss_spike(full, 10.0, 6.0), "");
  EXPECT_THAT(loss_spike(full, 10.01, 6.0),
              HasSubstr("6.0 standard deviations above the mean, 4, of the last 128"));
  EXPECT_EQ(loss_spike(full, -100.0, 6.0), "");
}

TEST(LossWindow, ForgetsTheOldestAndComesBackAsItWas) {
  LossWindow one = window(LossWindow::kSteps);
  for (int i = 0; i < 100; ++i) one.add(100.0 + i);
  LossWindow other;
  other.restore(one.losses());
  EXPECT_TRUE(std::ranges::equal(one.losses(), other.losses()));
  EXPECT_EQ(one.losses().size(), LossWindow::kSteps);
  EXPECT_EQ(one.losses().back(), 199.0);
  EXPECT_EQ(one.losses().front(), 3.0);
}

TEST(LossWindow, LossesThatAreAllTheSameMakeNoSpikeOfTheNext) {
  LossWindow flat;
  for (std::size_t i = 0; i < LossWindow::kSteps; ++i) flat.add(2.0);
  EXPECT_EQ(loss_spike(flat, 2.0, 6.0), "");
}

}  // namespace
}  // namespace troupe::workers
