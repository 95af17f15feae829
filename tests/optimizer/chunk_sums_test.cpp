#include "optimizer/chunk_sums.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

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

std::vector<double> sums_with(int ranks, const ParameterTable& table, const std::vector<float>& gradient) {
  const ChunkSums chunk_sums(table);
  std::vector<std::int64_t> begin;
  for (std::size_t i = 0; i <= table.specs().size(); ++i) begin.push_back(table.offset(i));
  const auto slices = layout::slice_by_chunks(begin, ranks);
  std::vector<double> total(static_cast<std::size_t>(chunk_sums.chunks()));
  for (std::size_t rank = 0; rank < static_cast<std::size_t>(ranks); ++rank) {
    const auto slice = std::span(gradient).subspan(static_cast<std::size_t>(slices[rank]),
                                                   static_cast<std::size_t>(slices[rank + 1] - slices[rank]));
    std::vector<double> mine(total.size());
    chunk_sums.fill(Execution{.threads = 2}, table, slices[rank], slices[rank + 1], slice, mine);
    for (std::size_t i = 0; i < total.size(); ++i) {
      EXPECT_TRUE(mine[i] == 0.0 || total[i] == 0.0) << "two owners of one chunk";
      total[i] += mine[i];
    }
  }
  return total;
}

TEST(ChunkSums, AreTheSameBitsForEveryNumberOfOwners) {
  const ParameterTable table(specs());
  const auto gradient = random_gradient(table);
  const auto one = sums_with(1, table, gradient);
  EXPECT_EQ(one.size(), 1U + 4U + 1U);
  for (const int ranks : {2, 3, 5, 8}) EXPECT_EQ(sums_with(ranks, table, gradient), one) << ranks;
}

TEST(ChunkSums, NormIsTheNorm) {
  const ParameterTable table(specs());
  const auto gradient = random_gradient(table);
  double expected = 0.0;
  for (const float value : gradient) expected += static_cast<double>(value) * value;
  EXPECT_NEAR(ChunkSums::norm(sums_with(3, table, gradient)), std::sqrt(expected),
              1e-9 * std::sqrt(expected));
}

}  // namespace
}  // namespace troupe::optimizer
