#include "model/rope_frequencies.h"

#include <gtest/gtest.h>

#include <cmath>

namespace troupe::model {
namespace {

TEST(RopeFrequencies, NtkKeepsTheFastestPairAndStretchesTheSlowestByTheFactor) {
  RopeOptions options;
  options.theta = 500.0;
  const auto plain = rope_frequencies(options, 12);
  options.scaling = {.kind = RopeScalingKind::kNtk, .factor = 4.0};
  const auto stretched = rope_frequencies(options, 12);
  ASSERT_EQ(stretched.values.size(), 6U);
  EXPECT_EQ(stretched.values[0], 1.0);
  EXPECT_NEAR(stretched.values[5], plain.values[5] / 4.0, 1e-15);
  for (std::size_t i = 0; i < 6; ++i) {
    const double theta = 500.0 * std::pow(4.0, 12.0 / 10.0);
    EXPECT_NEAR(stretched.values[i], std::pow(theta, -static_cast<double>(i) / 6.0), 1e-15) << i;
  }
  EXPECT_EQ(stretched.magnitude, 1.0);
  EXPECT_EQ(rope_frequencies(options, 2).values, (std::vector<double>{1.0})) << "one pair has no slowest";
}

}  // namespace
}  // namespace troupe::model
