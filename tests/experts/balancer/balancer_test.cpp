#include "experts/balancer/balancer.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "base/error.h"

namespace troupe::experts {
namespace {

std::unique_ptr<Balancer> balancer_of(BalancerKind kind, std::int64_t experts) {
  MoeOptions options;
  options.experts = experts;
  options.balancer.kind = kind;
  return make_balancer(options);
}

std::unique_ptr<Balancer> sign_balancer(std::int64_t experts) {
  return balancer_of(BalancerKind::kSign, experts);
}

std::vector<float> bias_of(const Balancer& balancer) {
  return {balancer.bias().begin(), balancer.bias().end()};
}

TEST(SignBalancer, RaisesTheIdleAndLowersTheBusyByTheRate) {
  const auto balancer = sign_balancer(4);
  balancer->update({std::array<std::int64_t, 4>{10, 30, 20, 20}}, 0.25);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{0.25F, -0.25F, 0.0F, 0.0F}));
  balancer->update({std::array<std::int64_t, 4>{10, 30, 20, 20}}, 0.125);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{0.375F, -0.375F, 0.0F, 0.0F}));
}

TEST(SignBalancer, ComparesExactlyWhereFloatingPointCannot) {
  // Counts that differ by one at 2^54: doubles cannot tell them from their mean.
  const std::int64_t many = std::int64_t{1} << 54;
  const auto balancer = sign_balancer(2);
  balancer->update({std::array<std::int64_t, 2>{many, many + 1}}, 1.0);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{1.0F, -1.0F}));
}

TEST(SignBalancer, StaysPutOnBalancedAndOnEmptyCounts) {
  const auto balancer = sign_balancer(3);
  balancer->update({std::array<std::int64_t, 3>{7, 7, 7}}, 1.0);
  balancer->update({std::array<std::int64_t, 3>{0, 0, 0}}, 1.0);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{0.0F, 0.0F, 0.0F}));
}

TEST(SignBalancer, ContinuesFromARestoredState) {
  const auto first = sign_balancer(2);
  first->update({std::array<std::int64_t, 2>{1, 3}}, 0.5);
  const auto second = sign_balancer(2);
  second->restore(first->state());
  first->update({std::array<std::int64_t, 2>{1, 3}}, 0.01);
  second->update({std::array<std::int64_t, 2>{1, 3}}, 0.01);
  EXPECT_EQ(bias_of(*first), bias_of(*second));
}

TEST(SignBalancer, RefusesAStateOfAnotherLength) {
  EXPECT_THROW(sign_balancer(2)->restore(std::array<float, 3>{}), Error);
}

TEST(NoBalancer, NeverMoves) {
  const auto balancer = balancer_of(BalancerKind::kNone, 2);
  balancer->update({std::array<std::int64_t, 2>{0, 9}}, 1.0);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{0.0F, 0.0F}));
}

}  // namespace
}  // namespace troupe::experts
