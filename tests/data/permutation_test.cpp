#include "data/permutation.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <vector>

#include "base/error.h"

namespace troupe::data {
namespace {

std::vector<std::int64_t> images(const PermutationKey& key, std::int64_t size) {
  std::vector<std::int64_t> result;
  for (std::int64_t i = 0; i < size; ++i) result.push_back(permute(key, size, i));
  return result;
}

TEST(Permutation, ReachesEveryIndexOnceForEverySize) {
  for (const std::int64_t size : {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 1000, 4097}) {
    auto values = images({.seed = 7, .stream = 3, .pool = 1}, size);
    std::sort(values.begin(), values.end());
    std::vector<std::int64_t> expected(static_cast<std::size_t>(size));
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(values, expected) << size;
  }
}

TEST(Permutation, DependsOnEveryPartOfItsKey) {
  const std::set<std::vector<std::int64_t>> distinct{
      images({.seed = 1, .stream = 0, .pool = 0}, 100), images({.seed = 2, .stream = 0, .pool = 0}, 100),
      images({.seed = 1, .stream = 1, .pool = 0}, 100), images({.seed = 1, .stream = 0, .pool = 1}, 100)};
  EXPECT_EQ(distinct.size(), 4U);
}

TEST(Permutation, MovesEachIndexToEachPlaceAboutEquallyOften) {
  constexpr std::int64_t kSize = 7;
  constexpr int kEpochs = 3500;
  std::vector<int> hits(kSize * kSize, 0);
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const auto values = images({.seed = 5, .stream = static_cast<std::uint32_t>(epoch), .pool = 0}, kSize);
    for (std::int64_t i = 0; i < kSize; ++i)
      ++hits[static_cast<std::size_t>(i * kSize + values[static_cast<std::size_t>(i)])];
  }
  // 500 expected, standard deviation 21.
  for (const int count : hits) EXPECT_NEAR(count, kEpochs / kSize, 110);
}

TEST(Permutation, StaysInsideForHugeSizes) {
  constexpr std::int64_t kSize = (std::int64_t{1} << 61) + 12345;
  for (std::int64_t i = 0; i < 50; ++i) {
    const std::int64_t image = permute({.seed = 1, .stream = 0, .pool = 0}, kSize, kSize - 1 - i);
    EXPECT_GE(image, 0);
    EXPECT_LT(image, kSize);
  }
}

TEST(Permutation, RefusesAnIndexOutside) {
  EXPECT_THROW((void)permute({}, 5, 5), Error);
  EXPECT_THROW((void)permute({}, 5, -1), Error);
  EXPECT_THROW((void)permute({}, 0, 0), Error);
}

}  // namespace
}  // namespace troupe::data
