#include "experts/router/tallies.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace troupe::experts {
namespace {

// 3 tokens, 2 slots; 3 routed experts and one zero-compute one (3).
constexpr std::array<std::int32_t, 6> kChosen{2, 0, 3, 1, 0, -1};
constexpr std::array<std::int32_t, 3> kDomains{1, 0, 1};

struct Tables {
  std::vector<std::int64_t> counts = std::vector<std::int64_t>(4);
  std::vector<std::int64_t> domains = std::vector<std::int64_t>(8, 99);
  std::vector<std::int64_t> pairs = std::vector<std::int64_t>(9, 99);
  layout::LayerStatistics load{counts, {}, {}, {}, domains, pairs};
};

const ConstTensorView kChosenView(kChosen.data(), Shape{3, 2});

TEST(Tally, CountsPairsByTheDomainOfTheirTokenAndOverwrites) {
  Tables tables;
  tally(kChosenView, ConstTensorView(kDomains.data(), Shape{3}), tables.load);
  EXPECT_EQ(tables.domains, (std::vector<std::int64_t>{0, 1, 0, 1, 2, 0, 1, 0}));
}

TEST(Tally, CountsExpertsChosenByTheSameTokenOnceWithTheLowerFirstAndNoZeroComputeExpert) {
  Tables tables;
  tally(kChosenView, {}, tables.load);
  EXPECT_EQ(tables.pairs, (std::vector<std::int64_t>{0, 0, 1, 0, 0, 0, 0, 0, 0}));
}

TEST(Tally, CountsNoDomainWhereTokensHaveNone) {
  Tables tables;
  tally(kChosenView, {}, tables.load);
  EXPECT_EQ(tables.domains, std::vector<std::int64_t>(8));
}

}  // namespace
}  // namespace troupe::experts
