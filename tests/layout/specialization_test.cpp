#include "layout/specialization.h"

#include <gtest/gtest.h>

#include <vector>

namespace troupe::layout {
namespace {

using Counts = std::vector<std::int64_t>;

TEST(Specialization, IsNoneWhereEveryDomainUsesExpertsAlike) {
  const Specialization result = specialization(Counts{10, 30, 20, 60}, 2);
  EXPECT_NEAR(result.mutual_information, 0.0, 1e-12);
  EXPECT_NEAR(result.domain_distance, 0.0, 1e-12);
}

TEST(Specialization, IsTheMostWhereEveryDomainHasItsOwnExperts) {
  const Specialization result = specialization(Counts{8, 0, 0, 0, 0, 8, 0, 0, 0, 0, 4, 4}, 4);
  EXPECT_NEAR(result.mutual_information, 1.58496250072, 1e-9);  // log2 3
  EXPECT_NEAR(result.mutual_information_limit, 1.58496250072, 1e-9);
  EXPECT_NEAR(result.domain_distance, 1.0, 1e-12);
}

// By hand: domains of 8 and 8 pairs, experts of 8 and 8; I = 1 - H(3/4) bits.
TEST(Specialization, IsMeasuredInBits) {
  const Specialization result = specialization(Counts{6, 2, 2, 6}, 2);
  EXPECT_NEAR(result.mutual_information, 1.0 - 0.81127812446, 1e-9);
  EXPECT_NEAR(result.mutual_information_limit, 1.0, 1e-12);
  EXPECT_NEAR(result.domain_distance, 0.5, 1e-12);
}

TEST(Specialization, DomainsOfUnequalSizeWeighByTheirPairsOnlyInTheInformation) {
  const Specialization result = specialization(Counts{3, 1, 300, 900}, 2);
  EXPECT_NEAR(result.domain_distance, 0.5, 1e-12);
  EXPECT_LT(result.mutual_information, 0.02);
  EXPECT_LT(result.mutual_information_limit, 0.04);
}

TEST(Specialization, OfNothingOrOneDomainIsNone) {
  EXPECT_EQ(specialization(Counts{0, 0, 0, 0}, 2), Specialization());
  EXPECT_EQ(specialization({}, 2), Specialization());
  EXPECT_NEAR(specialization(Counts{5, 1, 0, 0}, 2).mutual_information, 0.0, 1e-12);
  EXPECT_EQ(specialization(Counts{5, 1, 0, 0}, 2).domain_distance, 0.0);
}

}  // namespace
}  // namespace troupe::layout
