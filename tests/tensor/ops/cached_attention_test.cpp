#include "tensor/ops/cached_attention/cached_attention.h"

#include "tensor/ops/attention/attention.h"
#include "tensor/ops/cached_attention/cached_attention_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::Integers;
using testing::StridedMatrix;

struct Case {
  std::int64_t heads, kv_heads, key_dim, value_dim;
  double scale, softcap;
  bool sinks;
  bool alibi = false;
  std::int64_t window = 0;
  std::int64_t stride = 0;
};

constexpr std::int64_t kCapacity = 37;
constexpr std::int64_t kSequences = 3;

/// Rows of three sequences at different positions, two of which see only part of what is before them; one of
/// these went around the ring.
class CachedAttention : public ::testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] CachedAttentionShape shape() const {
    const Case& c = GetParam();
    return {c.heads, c.kv_heads, c.key_dim, c.value_dim, kCapacity,
            c.scale, c.softcap,  c.alibi,   c.window,    c.stride};
  }
  [[nodiscard]] ConstTensorView sinks() const {
    return GetParam().sinks ? ConstTensorView(sinks_) : ConstTensorView();
  }

  [[nodiscard]] StridedMatrix computed(int threads) const {
    StridedMatrix out(5, GetParam().heads * GetParam().value_dim);
    cached_attention({threads}, shape(), q_.view(), keys_.view(), values_.view(), sequences_.view(),
                     positions_.view(), first_.view(), out.view(), sinks());
    return out;
  }

  StridedMatrix q_ = StridedMatrix::random(5, GetParam().heads* GetParam().key_dim, 1);
  StridedMatrix keys_ =
      StridedMatrix::random(kSequences * kCapacity, GetParam().kv_heads* GetParam().key_dim, 2);
  StridedMatrix values_ =
      StridedMatrix::random(kSequences * kCapacity, GetParam().kv_heads* GetParam().value_dim, 3);
  std::vector<float> sink_values_ = testing::random_values<float>(GetParam().heads, 4);
  ConstTensorView sinks_{sink_values_.data(), Shape{GetParam().heads}};
  Integers sequences_{Shape{5}, {2, 0, 1, 2, 0}};
  Integers positions_{Shape{5}, {36, 0, 90, 35, 1}};
  Integers first_{Shape{5}, {0, 0, 60, 35, 0}};
};

TEST_P(CachedAttention, AgreesWithTheReference) {
  StridedMatrix expected(5, GetParam().heads * GetParam().value_dim);
  const std::span<const float> sinks = GetParam().sinks ? sink_values_ : std::span<const float>();
  reference::cached_attention<float>(shape(), q_.matrix(), keys_.matrix(), values_.matrix(),
                                     sequences_.span(), positions_.span(), first_.span(), expected.matrix(),
                                     sinks);
  testing::expect_near(computed(1), expected, 2e-6F);
}

TEST_P(CachedAttention, BitsDoNotDependOnThreads) { EXPECT_TRUE(computed(1).same_bits(computed(3))); }

TEST_P(CachedAttention, PlacesOutsideTheCacheAreRefused) {
  const auto with = [&](std::int32_t sequence, std::int32_t position, std::int32_t first) {
    const Integers s(Shape{5}, {0, 0, 0, 0, sequence});
    const Integers p(Shape{5}, {0, 0, 0, 0, position});
    const Integers f(Shape{5}, {0, 0, 0, 0, first});
    StridedMatrix out(5, GetParam().heads * GetParam().value_dim);
    cached_attention({1}, shape(), q_.view(), keys_.view(), values_.view(), s.view(), p.view(), f.view(),
                     out.view(), sinks());
  };
  EXPECT_NO_THROW(with(2, 36, 36));
  EXPECT_NO_THROW(with(0, 37, 1));
  EXPECT_THROW(with(3, 0, 0), Error);
  EXPECT_THROW(with(-1, 0, 0), Error);
  EXPECT_THROW(with(0, 37, 0), Error);
  EXPECT_THROW(with(0, 3, 4), Error);
  EXPECT_THROW(with(0, 3, -1), Error);
}

TEST(CachedAttentionOfASequence, IsTheLastRowOfAttentionOverTheWhole) {
  constexpr std::int64_t kLength = 21;
  constexpr std::int64_t kHeads = 4;
  constexpr std::int64_t kKvHeads = 2;
  constexpr std::int64_t kHeadDim = 16;
  const StridedMatrix q = StridedMatrix::random(kLength, kHeads * kHeadDim, 1);
  const StridedMatrix k = StridedMatrix::random(kCapacity, kKvHeads * kHeadDim, 2);
  const StridedMatrix v = StridedMatrix::random(kCapacity, kKvHeads * kHeadDim, 3);
  const Integers all_visible(Shape{kLength}, std::vector<std::int32_t>(kLength, 0));
  StridedMatrix whole(kLength, kHeads * kHeadDim);
  Tensor log_sum_exp({kHeads, kLength});
  attention_forward({1}, {1, kLength, kHeads, kKvHeads, kHeadDim}, q.view(), k.view().rows(0, kLength),
                    v.view().rows(0, kLength), all_visible.view(), whole.view(), log_sum_exp);
  StridedMatrix last(1, kHeads * kHeadDim);
  const Integers zero(Shape{1}, {0});
  const Integers place(Shape{1}, {kLength - 1});
  cached_attention({1}, {kHeads, kKvHeads, kHeadDim, kHeadDim, kCapacity}, q.view().rows(kLength - 1, 1),
                   k.view(), v.view(), zero.view(), place.view(), zero.view(), last.view());
  for (std::int64_t column = 0; column < kHeads * kHeadDim; ++column)
    EXPECT_NEAR(last.at(0, column), whole.at(kLength - 1, column), 2e-6F);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, CachedAttention,
    ::testing::Values(Case{4, 2, 8, 8, 0.0, 0.0, false}, Case{6, 1, 17, 17, 0.0, 0.0, false},
                      Case{3, 3, 24, 16, 0.3, 0.0, false}, Case{4, 2, 33, 33, 0.0, 2.0, true},
                      Case{2, 2, 64, 64, 0.0, 0.0, true}, Case{6, 3, 16, 16, 0.0, 0.0, false, true},
                      Case{4, 2, 8, 8, 0.0, 0.0, true, false, 2, 5},
                      Case{2, 1, 17, 17, 0.0, 1.5, false, true, 1, 9}));

}  // namespace
}  // namespace troupe::ops
