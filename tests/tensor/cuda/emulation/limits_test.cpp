#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "tensor/cuda/attention.h"
#include "tensor/cuda/kernel.h"
#include "tensor/cuda/plan.h"
#include "tensor/cuda/route.h"

namespace troupe::cuda {
namespace {

/// The message of the refusal, empty when nothing is refused.
template <class Call>
std::string refusal_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfig);
    return error.what();
  }
  return {};
}

/// Of no tokens: nothing is launched.
std::string refusal_of_route(std::int64_t experts, std::int64_t top_k) {
  RouteForward arguments{};
  arguments.logits.columns = experts;
  arguments.chosen.columns = top_k;
  return refusal_of([&] { route_forward({}, arguments); });
}

TEST(DeviceLimits, RouteTakesWhatItsKernelsHoldAndRefusesMore) {
  EXPECT_EQ(refusal_of_route(kMostChoices, kMostSlots), "");
  EXPECT_EQ(refusal_of_route(3, 3), "");
  EXPECT_NE(refusal_of_route(kMostChoices, kMostSlots + 1).find("top_k is 33"), std::string::npos);
  EXPECT_NE(refusal_of_route(3, 4).find("top_k is 4"), std::string::npos);
  EXPECT_NE(refusal_of_route(kMostChoices + 1, 2).find("experts is 1025"), std::string::npos);
}

TEST(DeviceLimits, PlanRefusesMoreExpertsThanItCounts) {
  PlanArguments arguments{};
  arguments.experts = kMostExperts + 1;
  EXPECT_NE(refusal_of([&] { plan({}, arguments); }).find("experts is 1025"), std::string::npos);
}

TEST(DeviceLimits, AttentionRefusesWiderHeadsThanItsTiles) {
  AttentionForward arguments{};
  arguments.sizes.head_dim = kMostHeadDim + 1;
  EXPECT_NE(refusal_of([&] { attention_forward({}, arguments); }).find("head_dim is 257"), std::string::npos);
}

TEST(DeviceLimits, GridsAreNeverCutToWhatTheirNumbersHold) {
  EXPECT_NE(refusal_of([] { (void)grid_of(std::int64_t{1} << 31); }), "");
  EXPECT_NE(refusal_of([] { (void)grid_of(1, 1 << 16); }), "");
  EXPECT_EQ(grid_of(0x7FFFFFFF, 0xFFFF, 0xFFFF).x, 0x7FFFFFFFU);
}

}  // namespace
}  // namespace troupe::cuda
