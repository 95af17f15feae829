#include "tensor/ops/layer_norm/layer_norm.h"

#include "tensor/ops/layer_norm/layer_norm_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;
using testing::StridedMatrix;

constexpr double kEps = 1e-5;

TEST(LayerNormReference, GradientAgreesWithCentralDifferences) {
  constexpr std::int64_t kRows = 3;
  constexpr std::int64_t kColumns = 5;
  auto x = random_values<double>(kRows * kColumns, 1);
  auto weight = random_values<double>(kColumns, 2);
  auto bias = random_values<double>(kColumns, 4);
  auto dy = random_values<double>(kRows * kColumns, 3);
  std::vector<double> y(x.size());
  std::vector<double> mean(kRows);
  std::vector<double> inv_std(kRows);
  const auto loss = [&] {
    reference::layer_norm_forward<double>(testing::matrix_of(x, kColumns), weight, bias, kEps,
                                          testing::matrix_of(y, kColumns), mean, inv_std);
    return testing::dot(y, dy);
  };
  loss();
  std::vector<double> dx(x.size());
  std::vector<double> dweight(weight.size());
  std::vector<double> dbias(bias.size());
  reference::layer_norm_backward<double>(testing::matrix_of(dy, kColumns), testing::matrix_of(x, kColumns),
                                         weight, mean, inv_std, testing::matrix_of(dx, kColumns), dweight,
                                         dbias, false);
  testing::expect_gradient(loss, x, dx);
  testing::expect_gradient(loss, weight, dweight);
  testing::expect_gradient(loss, bias, dbias);
}

struct Results {
  StridedMatrix y, dx;
  Tensor mean, inv_std, dweight, dbias;
};

struct Case {
  std::int64_t rows, columns;
  bool bias, accumulate;
};

class LayerNormTest : public ::testing::TestWithParam<Case> {
 protected:
  std::int64_t rows_ = GetParam().rows;
  std::int64_t columns_ = GetParam().columns;
  StridedMatrix x_ = StridedMatrix::random(rows_, columns_, 1);
  StridedMatrix dy_ = StridedMatrix::random(rows_, columns_, 2);
  Tensor weight_{Shape{columns_}};
  Tensor bias_{Shape{columns_}};
  void SetUp() override {
    std::ranges::copy(random_values<float>(columns_, 3), weight_.f32());
    std::ranges::copy(random_values<float>(columns_, 4), bias_.f32());
    for (std::int64_t t = 0; t < rows_; ++t) x_.at(t, 0) += 2.0F;  // away from a mean of 0
  }
  Results empty() const {
    return {StridedMatrix(rows_, columns_), StridedMatrix::random(rows_, columns_, 9),
            Tensor(Shape{rows_}),           Tensor(Shape{rows_}),
            Tensor(Shape{columns_}),        Tensor(Shape{columns_})};
  }
  Results run(int threads) {
    Results results = empty();
    const ConstTensorView bias = GetParam().bias ? bias_.view() : ConstTensorView();
    const TensorView dbias = GetParam().bias ? results.dbias.view() : TensorView();
    layer_norm_forward({threads}, x_.view(), weight_, bias, kEps, results.y.view(), results.mean,
                       results.inv_std);
    layer_norm_backward({threads}, dy_.view(), x_.view(), weight_, results.mean, results.inv_std,
                        results.dx.view(), results.dweight, dbias, GetParam().accumulate);
    return results;
  }
};

TEST_P(LayerNormTest, AgreesWithTheReference) {
  const Results actual = run(1);
  Results expected = empty();
  const auto bias = GetParam().bias ? std::span<const float>(bias_.floats()) : std::span<const float>();
  const auto dbias = GetParam().bias ? expected.dbias.floats() : std::span<float>();
  reference::layer_norm_forward<float>(x_.matrix(), weight_.floats(), bias, kEps, expected.y.matrix(),
                                       expected.mean.floats(), expected.inv_std.floats());
  reference::layer_norm_backward<float>(dy_.matrix(), x_.matrix(), weight_.floats(), expected.mean.floats(),
                                        expected.inv_std.floats(), expected.dx.matrix(),
                                        expected.dweight.floats(), dbias, GetParam().accumulate);
  testing::expect_near(actual.y, expected.y, 1e-5F);
  testing::expect_near(actual.dx, expected.dx, 1e-5F);
  for (std::int64_t j = 0; j < columns_; ++j) {
    EXPECT_NEAR(actual.dweight.f32()[j], expected.dweight.f32()[j], 1e-3F);
    EXPECT_NEAR(actual.dbias.f32()[j], expected.dbias.f32()[j], 1e-3F);
  }
}

TEST_P(LayerNormTest, GivesTheSameBitsForEveryNumberOfThreads) {
  const Results once = run(1);
  for (const int threads : {2, 3}) {
    const Results results = run(threads);
    EXPECT_TRUE(results.y.same_bits(once.y));
    EXPECT_TRUE(results.dx.same_bits(once.dx));
    EXPECT_TRUE(std::ranges::equal(results.dweight.floats(), once.dweight.floats()));
    EXPECT_TRUE(std::ranges::equal(results.dbias.floats(), once.dbias.floats()));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LayerNormTest,
                         ::testing::Values(Case{37, 31, true, false}, Case{37, 300, false, true},
                                           Case{200, 300, true, true}, Case{5, 2, false, false},
                                           Case{0, 8, true, false}));

}  // namespace
}  // namespace troupe::ops
