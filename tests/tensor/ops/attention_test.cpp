#include "tensor/ops/attention/attention.h"

#include <cmath>

#include "tensor/ops/attention/attention_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;
using testing::StridedMatrix;

/// Documents of `document` tokens, packed.
testing::Integers packed(const AttentionShape& shape, std::int64_t document) {
  std::vector<std::int32_t> first;
  for (std::int64_t s = 0; s < shape.sequences; ++s) {
    for (std::int64_t i = 0; i < shape.length; ++i)
      first.push_back(static_cast<std::int32_t>(i / document * document));
  }
  return {Shape{shape.sequences * shape.length}, first};
}

void expect_reference_gradients(const AttentionShape& shape, std::vector<double> sinks) {
  const std::int64_t tokens = shape.sequences * shape.length;
  const std::int64_t q_columns = shape.heads * shape.head_dim;
  const std::int64_t kv_columns = shape.kv_heads * shape.head_dim;
  const auto first = packed(shape, 3);
  auto q = random_values<double>(tokens * q_columns, 1);
  auto k = random_values<double>(tokens * kv_columns, 2);
  auto v = random_values<double>(tokens * kv_columns, 3);
  auto dout = random_values<double>(tokens * q_columns, 4);
  std::vector<double> out(dout.size());
  std::vector<double> log_sum_exp(static_cast<std::size_t>(tokens * shape.heads));
  const auto loss = [&] {
    reference::attention_forward<double>(shape, testing::matrix_of(q, q_columns),
                                         testing::matrix_of(k, kv_columns), testing::matrix_of(v, kv_columns),
                                         first.span(), testing::matrix_of(out, q_columns),
                                         testing::matrix_of(log_sum_exp, shape.length), sinks);
    return testing::dot(out, dout);
  };
  loss();
  std::vector<double> dq(q.size());
  std::vector<double> dk(k.size());
  std::vector<double> dv(v.size());
  std::vector<double> dsinks(sinks.size());
  reference::attention_backward<double>(shape, testing::matrix_of(dout, q_columns),
                                        testing::matrix_of(q, q_columns), testing::matrix_of(k, kv_columns),
                                        testing::matrix_of(v, kv_columns), testing::matrix_of(out, q_columns),
                                        testing::matrix_of(log_sum_exp, shape.length), first.span(),
                                        testing::matrix_of(dq, q_columns), testing::matrix_of(dk, kv_columns),
                                        testing::matrix_of(dv, kv_columns), sinks, dsinks);
  testing::expect_gradient(loss, q, dq);
  testing::expect_gradient(loss, k, dk);
  testing::expect_gradient(loss, v, dv);
  testing::expect_gradient(loss, sinks, dsinks);
}

constexpr AttentionShape kSmall{.sequences = 2, .length = 5, .heads = 4, .kv_heads = 2, .head_dim = 3};

TEST(AttentionReference, GradientsAgreeWithCentralDifferences) { expect_reference_gradients(kSmall, {}); }

TEST(AttentionReference, GradientsOfSinksASoftCapAndAScaleDoToo) {
  AttentionShape shape = kSmall;
  shape.scale = 0.9;
  shape.softcap = 0.7;
  shape.alibi = true;
  expect_reference_gradients(shape, random_values<double>(shape.heads, 5));
}

TEST(AttentionReference, GradientsOfAStrideAndOfDropoutDoToo) {
  AttentionShape shape = kSmall;
  shape.window = 1;
  shape.stride = 2;
  shape.dropout = {.rate = 0.4, .seed = 3, .layer = 1, .first_token = 70};
  expect_reference_gradients(shape, random_values<double>(shape.heads, 5));
}

struct Case {
  AttentionShape shape;
  std::int64_t document;
  bool sinks = false;
};

struct Results {
  StridedMatrix out, dq, dk, dv;
  Tensor log_sum_exp, dsinks;
};

class AttentionTest : public ::testing::TestWithParam<Case> {
 protected:
  AttentionShape shape_ = GetParam().shape;
  std::int64_t tokens_ = shape_.sequences * shape_.length;
  std::int64_t q_columns_ = shape_.heads * shape_.head_dim;
  std::int64_t kv_columns_ = shape_.kv_heads * shape_.head_dim;
  testing::Integers first_ = packed(shape_, GetParam().document);
  StridedMatrix q_ = sharp(StridedMatrix::random(tokens_, q_columns_, 1));
  StridedMatrix k_ = sharp(StridedMatrix::random(tokens_, kv_columns_, 2));
  StridedMatrix v_ = StridedMatrix::random(tokens_, kv_columns_, 3);
  StridedMatrix dout_ = StridedMatrix::random(tokens_, q_columns_, 4);

  Tensor sinks_ = Tensor(Shape{shape_.heads});
  void SetUp() override { std::ranges::copy(random_values<float>(shape_.heads, 6), sinks_.f32()); }
  ConstTensorView sinks() const { return GetParam().sinks ? sinks_.view() : ConstTensorView(); }
  std::span<const float> sink_values() const {
    return GetParam().sinks ? sinks_.floats() : std::span<const float>();
  }

  /// Larger scores, so that the running maximum moves and weights are far from even.
  static StridedMatrix sharp(StridedMatrix matrix) {
    const auto values = matrix.matrix();
    for (std::int64_t row = 0; row < values.rows; ++row) {
      for (std::int64_t column = 0; column < values.columns; ++column) values(row, column) *= 3.0F;
    }
    return matrix;
  }
  Results empty() const {
    return {StridedMatrix(tokens_, q_columns_),
            StridedMatrix(tokens_, q_columns_),
            StridedMatrix(tokens_, kv_columns_),
            StridedMatrix(tokens_, kv_columns_),
            Tensor(Shape{shape_.sequences * shape_.heads, shape_.length}),
            Tensor(Shape{shape_.heads})};
  }
  Results run(int threads) const {
    Results results = empty();
    Arena arena(std::size_t{1} << 24);
    attention_forward(Execution{threads}, shape_, q_.view(), k_.view(), v_.view(), first_.view(),
                      results.out.view(), results.log_sum_exp, sinks());
    attention_backward(Execution{threads}, arena, shape_, dout_.view(), q_.view(), k_.view(), v_.view(),
                       results.out.view(), results.log_sum_exp, first_.view(), results.dq.view(),
                       results.dk.view(), results.dv.view(), sinks(), results.dsinks);
    return results;
  }
};

TEST_P(AttentionTest, AgreesWithTheReference) {
  const Results actual = run(1);
  Results expected = empty();
  reference::attention_forward<float>(shape_, q_.matrix(), k_.matrix(), v_.matrix(), first_.span(),
                                      expected.out.matrix(), matrix(expected.log_sum_exp.view()),
                                      sink_values());
  reference::attention_backward<float>(
      shape_, dout_.matrix(), q_.matrix(), k_.matrix(), v_.matrix(), expected.out.matrix(),
      matrix(expected.log_sum_exp.view()), first_.span(), expected.dq.matrix(), expected.dk.matrix(),
      expected.dv.matrix(), sink_values(), GetParam().sinks ? expected.dsinks.floats() : std::span<float>());
  testing::expect_near(actual.out, expected.out, 2e-5F);
  for (std::int64_t i = 0; i < actual.log_sum_exp.elements(); ++i) {
    ASSERT_NEAR(actual.log_sum_exp.f32()[i], expected.log_sum_exp.f32()[i], 2e-5F);
  }
  testing::expect_near(actual.dq, expected.dq, 2e-4F);
  testing::expect_near(actual.dk, expected.dk, 2e-4F);
  testing::expect_near(actual.dv, expected.dv, 2e-4F);
  for (std::int64_t h = 0; h < shape_.heads; ++h)
    EXPECT_NEAR(actual.dsinks.f32()[h], expected.dsinks.f32()[h], 2e-4F);
}

TEST_P(AttentionTest, GivesTheSameBitsForEveryNumberOfThreads) {
  const Results once = run(1);
  for (const int threads : {2, 3}) {
    const Results results = run(threads);
    EXPECT_TRUE(results.out.same_bits(once.out));
    EXPECT_TRUE(std::ranges::equal(results.log_sum_exp.floats(), once.log_sum_exp.floats()));
    EXPECT_TRUE(results.dq.same_bits(once.dq));
    EXPECT_TRUE(results.dk.same_bits(once.dk));
    EXPECT_TRUE(results.dv.same_bits(once.dv));
    EXPECT_TRUE(std::ranges::equal(results.dsinks.floats(), once.dsinks.floats()));
  }
}

// Lengths below, at, just above and well above one tile; documents that cut tiles and that span several.
INSTANTIATE_TEST_SUITE_P(Shapes, AttentionTest,
                         ::testing::Values(Case{{2, 1, 2, 1, 8}, 100}, Case{{1, 13, 4, 2, 5}, 4},
                                           Case{{2, 64, 2, 2, 32}, 1000}, Case{{2, 65, 3, 1, 33}, 1000},
                                           Case{{1, 200, 4, 2, 64}, 1000}, Case{{1, 200, 2, 1, 64}, 70},
                                           Case{{1, 300, 2, 1, 16}, 129}, Case{{1, 150, 1, 1, 128}, 7},
                                           Case{{1, 128, 2, 2, 1}, 64}, Case{{0, 8, 2, 1, 16}, 8}));

INSTANTIATE_TEST_SUITE_P(Scores, AttentionTest,
                         ::testing::Values(Case{{1, 150, 4, 2, 24}, 100, true},
                                           Case{{2, 65, 2, 1, 33, 0.11}, 1000, false},
                                           Case{{1, 200, 2, 1, 16, 0.0, 2.5}, 70, false},
                                           Case{{1, 150, 6, 3, 16, 0.0, 0.0, true}, 70, false},
                                           Case{{2, 130, 2, 2, 8, 0.5, 1.5, true}, 129, true}));

constexpr AttentionShape strided(AttentionShape shape, std::int64_t window, std::int64_t stride) {
  shape.window = window;
  shape.stride = stride;
  return shape;
}

// Strides within a tile, of a tile and of several, of which some tiles hold none.
INSTANTIATE_TEST_SUITE_P(Strides, AttentionTest,
                         ::testing::Values(Case{strided({1, 150, 2, 1, 8}, 1, 7), 100},
                                           Case{strided({2, 200, 2, 2, 16}, 5, 64), 1000, true},
                                           Case{strided({1, 400, 1, 1, 8}, 3, 150), 390},
                                           Case{strided({1, 400, 1, 1, 8}, 100, 130), 1000},
                                           Case{strided({1, 300, 1, 1, 8}, 127, 50), 1000},
                                           Case{strided({1, 130, 1, 1, 8}, 1, 1000), 129}));

constexpr AttentionShape dropping(AttentionShape shape, double rate) {
  shape.dropout = {.rate = rate, .seed = 11, .layer = 2, .first_token = 12345};
  return shape;
}

INSTANTIATE_TEST_SUITE_P(Dropout, AttentionTest,
                         ::testing::Values(Case{dropping({1, 150, 4, 2, 24}, 0.1), 100, true},
                                           Case{dropping({2, 67, 2, 1, 16, 0.0, 2.5}, 0.5), 1000},
                                           Case{dropping(strided({1, 130, 2, 1, 8}, 3, 5), 0.3), 70}));

TEST(AttentionDropout, DependsOnATokensNumberInTheRunOnly) {
  AttentionShape two =
      dropping({.sequences = 2, .length = 70, .heads = 2, .kv_heads = 1, .head_dim = 8}, 0.4);
  AttentionShape one = two;
  one.sequences = 1;
  one.dropout.first_token += 70;
  const auto q = StridedMatrix::random(140, 16, 1);
  const auto k = StridedMatrix::random(140, 8, 2);
  StridedMatrix both(140, 16);
  StridedMatrix second(70, 16);
  Tensor log_sum_exp(Shape{4, 70});
  attention_forward({1}, two, q.view(), k.view(), k.view(), packed(two, 100).view(), both.view(),
                    log_sum_exp);
  attention_forward({1}, one, q.view().rows(70, 70), k.view().rows(70, 70), k.view().rows(70, 70),
                    packed(one, 100).view(), second.view(), log_sum_exp.view().rows(0, 2));
  for (std::int64_t row = 0; row < 70; ++row) {
    for (std::int64_t column = 0; column < 16; ++column)
      ASSERT_EQ(second.at(row, column), both.at(70 + row, column));
  }
}

TEST(Alibi, HasTheSlopesOfThePaper) {
  EXPECT_DOUBLE_EQ(alibi_slope(0, 8), 0.5);
  EXPECT_DOUBLE_EQ(alibi_slope(7, 8), 1.0 / 256.0);
  EXPECT_DOUBLE_EQ(alibi_slope(3, 6), 1.0 / 256.0);      // of 4 heads the last
  EXPECT_DOUBLE_EQ(alibi_slope(4, 6), 0.5);              // of 8 heads the first
  EXPECT_DOUBLE_EQ(alibi_slope(5, 6), std::exp2(-3.0));  // and the third
}

TEST(Attention, NeverLooksOutsideTheDocument) {
  const AttentionShape shape{.sequences = 1, .length = 150, .heads = 1, .kv_heads = 1, .head_dim = 16};
  const auto first = packed(shape, 75);
  const auto q = StridedMatrix::random(150, 16, 1);
  const auto k = StridedMatrix::random(150, 16, 2);
  auto v = StridedMatrix::random(150, 16, 3);
  StridedMatrix out(150, 16);
  Tensor log_sum_exp(Shape{1, 150});
  attention_forward(Execution{1}, shape, q.view(), k.view(), v.view(), first.view(), out.view(), log_sum_exp);
  const auto before = out.copy();
  v.at(74, 0) += 100.0F;   // seen by position 74 alone
  v.at(149, 3) += 100.0F;  // seen by position 149 alone
  attention_forward(Execution{1}, shape, q.view(), k.view(), v.view(), first.view(), out.view(), log_sum_exp);
  for (std::int64_t i = 0; i < 150; ++i) {
    const bool changed = std::memcmp(out.matrix().row(i), before.matrix().row(i), 16 * sizeof(float)) != 0;
    EXPECT_EQ(changed, i == 74 || i == 149) << i;
  }
}

TEST(Attention, DoesNotDependOnStridesAndAlignment) {
  const AttentionShape shape{.sequences = 1, .length = 90, .heads = 2, .kv_heads = 1, .head_dim = 24};
  const auto first = packed(shape, 40);
  const auto run = [&](std::int64_t gap) {
    const auto q = StridedMatrix::random(90, 48, 1, gap);
    const auto k = StridedMatrix::random(90, 24, 2, gap);
    StridedMatrix out(90, 48, gap);
    StridedMatrix dq(90, 48, gap);
    StridedMatrix dk(90, 24, gap);
    StridedMatrix dv(90, 24, gap);
    Tensor log_sum_exp(Shape{2, 90});
    Arena arena(std::size_t{1} << 20);
    attention_forward(Execution{1}, shape, q.view(), k.view(), k.view(), first.view(), out.view(),
                      log_sum_exp);
    attention_backward(Execution{1}, arena, shape, q.view(), q.view(), k.view(), k.view(), out.view(),
                       log_sum_exp, first.view(), dq.view(), dk.view(), dv.view());
    std::vector<float> values;
    for (const auto& matrix : {out.matrix(), dq.matrix(), dk.matrix(), dv.matrix()}) {
      for (std::int64_t t = 0; t < 90; ++t)
        values.insert(values.end(), matrix.row(t), matrix.row(t) + matrix.columns);
    }
    return values;
  };
  const auto contiguous = run(0);
  EXPECT_EQ(run(1), contiguous);
  EXPECT_EQ(run(16), contiguous);
}

TEST(Attention, DoesNotHideNotANumber) {
  const AttentionShape shape{.sequences = 1, .length = 100, .heads = 1, .kv_heads = 1, .head_dim = 16};
  const auto first = packed(shape, 1000);
  const auto q = StridedMatrix::random(100, 16, 1);
  auto k = StridedMatrix::random(100, 16, 2);
  k.at(70, 3) = std::nanf("");
  StridedMatrix out(100, 16);
  Tensor log_sum_exp(Shape{1, 100});
  attention_forward(Execution{1}, shape, q.view(), k.view(), k.view(), first.view(), out.view(), log_sum_exp);
  for (std::int64_t i = 0; i < 100; ++i) EXPECT_EQ(std::isnan(out.at(i, 0)), i >= 70) << i;
}

TEST(Attention, RefusesAMaskThatLooksAhead) {
  const AttentionShape shape{.sequences = 1, .length = 2, .heads = 1, .kv_heads = 1, .head_dim = 4};
  StridedMatrix x(2, 4);
  Tensor log_sum_exp(Shape{1, 2});
  const testing::Integers ahead(Shape{2}, {1, 1});
  EXPECT_THROW(attention_forward(Execution{1}, shape, x.view(), x.view(), x.view(), ahead.view(), x.view(),
                                 log_sum_exp),
               Error);
}

}  // namespace
}  // namespace troupe::ops
