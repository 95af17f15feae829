#include "optimizer/chunk_sums.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/index.h"
#include "base/random.h"
#include "layout/layout.h"

namespace troupe::optimizer {
namespace {

std::vector<ParameterSpec> specs() {
  return {{.name = "b", .shape = {3 * layout::kChunkElements + 17}},
          {.name = "a", .shape = {33}},
          {.name = "c", .shape = {5, 7}}};
}

std::vector<float> random_gradient(const ParameterTable& table) {
  std::vector<float> gradient(static_cast<std::size_t>(table.buffer_elements()));
  const Random random(1, RandomPurpose::kTest);
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    for (auto& value : table.view(std::span(gradient), i).floats()) {
      value = static_cast<float>(random.normal(static_cast<std::uint64_t>(&value - gradient.data())));
    }
  }
  return gradient;
}

/// Of the owners of the slices together, sorted: chunks have no order between owners.
std::vector<double> sums_with(int ranks, const ParameterTable& table, const std::vector<float>& gradient) {
  std::vector<std::int64_t> begin;
  for (std::size_t i = 0; i <= table.specs().size(); ++i) begin.push_back(table.offset(i));
  const auto slices = layout::slice_by_chunks(begin, ranks);
  std::vector<double> all;
  for (std::size_t rank = 0; rank < at(ranks); ++rank) {
    ChunkSums chunk_sums(table, slices[rank], slices[rank + 1]);
    const auto slice = part(gradient, slices[rank], slices[rank + 1] - slices[rank]);
    for (int step = 0; step < 2; ++step) {  // the second sees nothing of the first
      const auto sums = chunk_sums.of(Execution{.threads = 2}, slice);
      EXPECT_EQ(sums.size(), chunk_sums.chunks());
      if (step == 1) all.insert(all.end(), sums.begin(), sums.end());
    }
  }
  std::ranges::sort(all);
  return all;
}

TEST(ChunkSums, AreTheSameBitsForEveryNumberOfOwners) {
  const ParameterTable table(specs());
  const auto gradient = random_gradient(table);
  const auto one = sums_with(1, table, gradient);
  EXPECT_EQ(one.size(), 1U + 4U + 1U);
  for (const int ranks : {2, 3, 5, 8}) EXPECT_EQ(sums_with(ranks, table, gradient), one) << ranks;
}

TEST(ChunkSums, AddUpToTheSquareOfTheNorm) {
  const ParameterTable table(specs());
  const auto gradient = random_gradient(table);
  double expected = 0.0;
  for (const float value : gradient) expected += static_cast<double>(value) * value;
  const auto sums = sums_with(3, table, gradient);
  EXPECT_NEAR(std::accumulate(sums.begin(), sums.end(), 0.0), expected, 1e-9 * expected);
}

TEST(ChunkSums, KnowTheParameterOfEachChunk) {
  const ParameterTable table(specs());  // a, b in four chunks, c
  const ChunkSums sums(table, table.offset(1) + layout::kChunkElements, table.buffer_elements());
  ASSERT_EQ(sums.chunks(), 4U);
  for (const std::size_t chunk : {0U, 1U, 2U}) EXPECT_EQ(sums.parameter(chunk), 1U);
  EXPECT_EQ(sums.parameter(3), 2U);
}

}  // namespace
}  // namespace troupe::optimizer
