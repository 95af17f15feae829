#include "tensor/ops/heads/heads.h"

#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::StridedMatrix;

constexpr std::int64_t kTokens = 70;
constexpr std::int64_t kHeads = 3;

TEST(Heads, CopyTheirChannelsAndLeaveTheOthers) {
  const auto x = StridedMatrix::random(kTokens, kHeads * 5, 1);
  auto out = StridedMatrix::random(kTokens, kHeads * 4, 2);
  const auto before = out.copy();
  copy_heads(Execution{2}, kHeads, 2, x.view(), {5, 3}, out.view(), {4, 1});
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t c = 0; c < kHeads * 4; ++c) {
      const bool copied = c % 4 == 1 || c % 4 == 2;
      const float expected = copied ? x.matrix()(t, c / 4 * 5 + 3 + c % 4 - 1) : before.matrix()(t, c);
      ASSERT_EQ(out.at(t, c), expected) << t << ", " << c;
    }
  }
  EXPECT_TRUE(out.gaps_untouched());
}

TEST(Heads, ShareChannelsAndTheGradientIsTheirSum) {
  const auto x = StridedMatrix::random(kTokens, 2, 1);
  StridedMatrix out(kTokens, kHeads * 3);
  copy_heads(Execution{2}, kHeads, 2, x.view(), {0, 0}, out.view(), {3, 1});
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t h = 0; h < kHeads; ++h) ASSERT_EQ(out.at(t, h * 3 + 2), x.matrix()(t, 1));
  }
  const auto dout = StridedMatrix::random(kTokens, kHeads * 3, 2);
  StridedMatrix dx(kTokens, 2);
  sum_heads(Execution{2}, kHeads, 2, dout.view(), {3, 1}, dx.view());
  const auto d = dout.matrix();
  for (std::int64_t t = 0; t < kTokens; ++t) ASSERT_EQ(dx.at(t, 1), d(t, 2) + d(t, 5) + d(t, 8));
}

TEST(Heads, RefuseChannelsThatAreNotThere) {
  StridedMatrix x(2, 6);
  StridedMatrix out(2, 6);
  EXPECT_THROW(copy_heads(Execution{1}, 3, 2, x.view(), {2, 1}, out.view(), {2, 0}), Error);
  EXPECT_THROW(sum_heads(Execution{1}, 4, 2, x.view(), {2, 0}, out.view().columns(0, 2)), Error);
}

}  // namespace
}  // namespace troupe::ops
