#include "workers/step/exact_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "base/random.h"

namespace troupe::workers {
namespace {

using Words = std::array<std::int64_t, exact_sum::kWords>;

Words words_of(const std::vector<double>& values) {
  Words words{};
  for (const double value : values) exact_sum::add(value, words);
  return words;
}

double sum_of(const std::vector<double>& values) { return exact_sum::value_of(words_of(values)); }

/// Values of very different size and of both signs.
std::vector<double> random_values(std::size_t count) {
  const Random random(3, RandomPurpose::kTest);
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto exponent = static_cast<int>(random.below(2 * i, 200)) - 100;
    values[i] = std::ldexp(random.normal(2 * i + 1), exponent);
  }
  return values;
}

TEST(ExactSum, OfOneValueIsThatValue) {
  using Limits = std::numeric_limits<double>;
  for (const double value : {0.0, 1.0, -1.0, 0.1, -std::numbers::pi, 1e300, -1e-300, Limits::max(),
                             -Limits::max(), Limits::min(), Limits::denorm_min(), -Limits::denorm_min(),
                             12345 * Limits::denorm_min(), Limits::min() - Limits::denorm_min()}) {
    EXPECT_EQ(sum_of({value}), value);
  }
  for (const double value : random_values(1000)) EXPECT_EQ(sum_of({value}), value);
}

TEST(ExactSum, LosesNothingThatCancels) {
  EXPECT_EQ(sum_of({1e300, 1.0, -1e300}), 1.0);
  EXPECT_EQ(sum_of({1e-300, -1.0, 1.0}), 1e-300);
  EXPECT_EQ(sum_of({5e-324, -1e308, 1e308, -5e-324}), 0.0);
  auto values = random_values(500);
  const std::size_t half = values.size();
  for (std::size_t i = 0; i < half; ++i) values.push_back(-values[i]);
  EXPECT_EQ(sum_of(values), 0.0);
  values.push_back(0.1);
  EXPECT_EQ(sum_of(values), 0.1);
}

TEST(ExactSum, RoundsOnceToTheNearestAndTiesToEven) {
  constexpr double kBig = 9007199254740992.0;        // 2^53: its neighbours are 1 below and 2 above
  EXPECT_EQ(sum_of({kBig, 1.0}), kBig);              // a tie
  EXPECT_EQ(sum_of({kBig, 1.0, 1e-300}), kBig + 2);  // a little more than one
  EXPECT_EQ(sum_of({kBig + 2, 1.0}), kBig + 4);      // a tie, to even
  EXPECT_EQ(sum_of({kBig + 2, 1.0, -1e-300}), kBig + 2);
  EXPECT_EQ(sum_of({-kBig, -1.0, -1e-300}), -kBig - 2);
  EXPECT_EQ(sum_of({kBig, 0.5, 0.5, 0.5}), kBig + 2);  // one after another would lose each
}

TEST(ExactSum, HasNoOrderAndCanBeCutAnywhere) {
  auto values = random_values(3000);
  const Words whole = words_of(values);
  const double expected = exact_sum::value_of(whole);
  std::ranges::reverse(values);
  EXPECT_EQ(sum_of(values), expected);
  std::ranges::sort(values);
  EXPECT_EQ(sum_of(values), expected);
  Words parts{};
  for (std::size_t begin = 0; begin < values.size(); begin += 700) {
    const auto end = std::min(values.size(), begin + 700);
    const Words part = words_of({values.begin() + static_cast<std::ptrdiff_t>(begin),
                                 values.begin() + static_cast<std::ptrdiff_t>(end)});
    for (std::size_t i = 0; i < part.size(); ++i) parts[i] += part[i];
  }
  EXPECT_EQ(exact_sum::value_of(parts), expected);
}

TEST(ExactSum, ManyOfTheLargestAreInfiniteAndStillCancel) {
  const double most = std::numeric_limits<double>::max();
  std::vector<double> values(100'000, most);
  EXPECT_EQ(sum_of(values), std::numeric_limits<double>::infinity());
  values.insert(values.end(), values.size() - 1, -most);
  EXPECT_EQ(sum_of(values), most);
}

TEST(ExactSum, OfSomethingThatIsNotFiniteIsNotANumber) {
  EXPECT_TRUE(std::isnan(sum_of({1.0, std::nan(""), 2.0})));
  EXPECT_TRUE(std::isnan(sum_of({std::numeric_limits<double>::infinity()})));
  EXPECT_TRUE(std::isnan(sum_of({-std::numeric_limits<double>::infinity()})));
}

}  // namespace
}  // namespace troupe::workers
