#include "tensor/ops/rope/rope.h"

#include <cmath>

#include "tensor/ops/rope/rope_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;
using testing::StridedMatrix;

constexpr std::int64_t kHeads = 3;

class RopeReference : public ::testing::TestWithParam<RopePairing> {};

TEST_P(RopeReference, GradientAgreesWithCentralDifferences) {
  constexpr std::int64_t kHeadDim = 6;
  auto cosine = random_values<double>(4 * 2, 1);  // the gradient does not need a unit circle
  auto sine = random_values<double>(4 * 2, 2);
  const std::vector<std::int32_t> positions{2, 0, 3};
  auto x = random_values<double>(3 * kHeads * kHeadDim, 3);
  const auto dy = random_values<double>(3 * kHeads * kHeadDim, 4);
  const auto rotate = [&](std::vector<double>& values, RopeDirection direction) {
    reference::rope<double>(testing::matrix_of(cosine, 2), testing::matrix_of(sine, 2), positions, kHeadDim,
                            direction, testing::matrix_of(values, kHeads * kHeadDim), GetParam());
  };
  const auto loss = [&] {
    auto y = x;
    rotate(y, RopeDirection::kForward);
    return testing::dot(y, dy);
  };
  auto dx = dy;
  rotate(dx, RopeDirection::kBackward);
  testing::expect_gradient(loss, x, dx);
}

INSTANTIATE_TEST_SUITE_P(Pairings, RopeReference,
                         ::testing::Values(RopePairing::kHalves, RopePairing::kInterleaved));

std::vector<double> frequencies(std::int64_t count) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(1.0 / static_cast<double>(1 + 3 * i));
  return values;
}

struct RopeCase {
  std::int64_t head_dim, rotary;
  RopePairing pairing = RopePairing::kHalves;
};

class RopeTest : public ::testing::TestWithParam<RopeCase> {
 protected:
  std::int64_t head_dim_ = GetParam().head_dim;
  std::int64_t rotary_ = GetParam().rotary;
  RopeTable table_{300, frequencies(rotary_ / 2), 1.0, GetParam().pairing};
  testing::Integers positions() const {
    std::vector<std::int32_t> values(400);
    for (std::size_t t = 0; t < values.size(); ++t) values[t] = static_cast<std::int32_t>(t * 7 % 300);
    return {Shape{400}, values};
  }
};

TEST_P(RopeTest, AgreesWithTheReferenceInBothDirections) {
  const auto places = positions();
  const Matrix<const float> cosine{table_.cosine(0), 300, rotary_ / 2, rotary_ / 2};
  const Matrix<const float> sine{table_.sine(0), 300, rotary_ / 2, rotary_ / 2};
  for (const auto direction : {RopeDirection::kForward, RopeDirection::kBackward}) {
    auto x = StridedMatrix::random(400, kHeads * head_dim_, 1);
    auto expected = x.copy();
    rope(Execution{1}, table_, places.view(), head_dim_, direction, x.view());
    reference::rope<float>(cosine, sine, places.span(), head_dim_, direction, expected.matrix(),
                           GetParam().pairing);
    testing::expect_near(x, expected, 1e-6F);
  }
}

TEST_P(RopeTest, GivesTheSameBitsForEveryNumberOfThreads) {
  auto once = StridedMatrix::random(400, kHeads * head_dim_, 1);
  const auto start = once.copy();
  rope(Execution{1}, table_, positions().view(), head_dim_, RopeDirection::kForward, once.view());
  for (const int threads : {2, 3}) {
    auto x = start.copy();
    rope(Execution{threads}, table_, positions().view(), head_dim_, RopeDirection::kForward, x.view());
    EXPECT_TRUE(x.same_bits(once));
  }
}

TEST_P(RopeTest, BackwardUndoesForward) {
  auto x = StridedMatrix::random(400, kHeads * head_dim_, 1);
  const auto start = x.copy();
  rope(Execution{1}, table_, positions().view(), head_dim_, RopeDirection::kForward, x.view());
  rope(Execution{1}, table_, positions().view(), head_dim_, RopeDirection::kBackward, x.view());
  testing::expect_near(x, start, 1e-6F);
}

INSTANTIATE_TEST_SUITE_P(Shapes, RopeTest,
                         ::testing::Values(RopeCase{64, 64}, RopeCase{64, 32}, RopeCase{10, 6},
                                           RopeCase{6, 0}, RopeCase{64, 64, RopePairing::kInterleaved},
                                           RopeCase{10, 6, RopePairing::kInterleaved}));

TEST(RopeTable, HoldsTheAnglesOfThePaper) {
  const RopeTable table(8, 4, 100.0);
  EXPECT_NEAR(table.cosine(3)[0], std::cos(3.0), 1e-6);
  EXPECT_NEAR(table.sine(3)[1], std::sin(3.0 * 0.1), 1e-6);  // 100^(-2/4) = 0.1
}

TEST(RopeTable, MultipliesByTheMagnitude) {
  const RopeTable table(8, std::vector<double>{0.5}, 1.25);
  EXPECT_NEAR(table.cosine(3)[0], 1.25 * std::cos(1.5), 1e-6);
  EXPECT_NEAR(table.sine(3)[0], 1.25 * std::sin(1.5), 1e-6);
}

TEST(RopeTable, RefusesAnOddNumberOfChannels) { EXPECT_THROW(RopeTable(4, 3, 100.0), Error); }

TEST(Rope, RefusesAPositionOutsideTheTable) {
  const RopeTable table(4, 2, 100.0);
  StridedMatrix x(1, 2);
  const testing::Integers outside(Shape{1}, {4});
  EXPECT_THROW(rope(Execution{1}, table, outside.view(), 2, RopeDirection::kForward, x.view()), Error);
}

}  // namespace
}  // namespace troupe::ops
