#include "tensor/ops/rms_norm/rms_norm.h"

#include "tensor/ops/rms_norm/rms_norm_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;
using testing::StridedMatrix;

constexpr double kEps = 1e-5;

TEST(RmsNormReference, GradientAgreesWithCentralDifferences) {
  constexpr std::int64_t kRows = 3;
  constexpr std::int64_t kColumns = 5;
  auto x = random_values<double>(kRows * kColumns, 1);
  auto weight = random_values<double>(kColumns, 2);
  auto dy = random_values<double>(kRows * kColumns, 3);
  std::vector<double> y(x.size());
  std::vector<double> inv_rms(kRows);
  const auto loss = [&] {
    reference::rms_norm_forward<double>(testing::matrix_of(x, kColumns), weight, kEps,
                                        testing::matrix_of(y, kColumns), inv_rms);
    return testing::dot(y, dy);
  };
  loss();
  std::vector<double> dx(x.size());
  std::vector<double> dweight(weight.size());
  reference::rms_norm_backward<double>(testing::matrix_of(dy, kColumns), testing::matrix_of(x, kColumns),
                                       weight, inv_rms, testing::matrix_of(dx, kColumns), dweight, false);
  testing::expect_gradient(loss, x, dx);
  testing::expect_gradient(loss, weight, dweight);
}

struct Results {
  StridedMatrix y, dx;
  Tensor inv_rms, dweight;
};

Results run(int threads, const StridedMatrix& x, const StridedMatrix& dy, const Tensor& weight,
            bool accumulate) {
  const std::int64_t rows = x.view().rows();
  const std::int64_t columns = x.view().columns();
  Results results{StridedMatrix(rows, columns), StridedMatrix::random(rows, columns, 9), Tensor(Shape{rows}),
                  Tensor(Shape{columns})};
  const Execution execution{threads};
  rms_norm_forward(execution, x.view(), weight, kEps, results.y.view(), results.inv_rms);
  rms_norm_backward(execution, dy.view(), x.view(), weight, results.inv_rms, results.dx.view(),
                    results.dweight, accumulate);
  return results;
}

class RmsNormTest : public ::testing::TestWithParam<std::tuple<std::int64_t, std::int64_t, bool>> {
 protected:
  std::int64_t rows_ = std::get<0>(GetParam());
  std::int64_t columns_ = std::get<1>(GetParam());
  bool accumulate_ = std::get<2>(GetParam());
  StridedMatrix x_ = StridedMatrix::random(rows_, columns_, 1);
  StridedMatrix dy_ = StridedMatrix::random(rows_, columns_, 2);
  Tensor weight_{Shape{columns_}};
  void SetUp() override { std::ranges::copy(random_values<float>(columns_, 3), weight_.f32()); }
};

TEST_P(RmsNormTest, AgreesWithTheReference) {
  auto actual = run(1, x_, dy_, weight_, accumulate_);
  StridedMatrix y(rows_, columns_);
  auto dx = StridedMatrix::random(rows_, columns_, 9);
  Tensor inv_rms(Shape{rows_});
  Tensor dweight(Shape{columns_});
  reference::rms_norm_forward<float>(x_.matrix(), weight_.floats(), kEps, y.matrix(), inv_rms.floats());
  reference::rms_norm_backward<float>(dy_.matrix(), x_.matrix(), weight_.floats(), inv_rms.floats(),
                                      dx.matrix(), dweight.floats(), accumulate_);
  testing::expect_near(actual.y, y, 1e-5F);
  testing::expect_near(actual.dx, dx, 1e-5F);
  for (std::int64_t j = 0; j < columns_; ++j) EXPECT_NEAR(actual.dweight.f32()[j], dweight.f32()[j], 1e-3F);
}

TEST_P(RmsNormTest, GivesTheSameBitsForEveryNumberOfThreads) {
  const auto once = run(1, x_, dy_, weight_, accumulate_);
  for (const int threads : {2, 3}) {
    const auto results = run(threads, x_, dy_, weight_, accumulate_);
    EXPECT_TRUE(results.y.same_bits(once.y));
    EXPECT_TRUE(results.dx.same_bits(once.dx));
    EXPECT_TRUE(std::ranges::equal(results.dweight.floats(), once.dweight.floats()));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, RmsNormTest,
                         ::testing::Combine(::testing::Values(1, 37, 200), ::testing::Values(1, 31, 300),
                                            ::testing::Bool()));

TEST(RmsNorm, WorksInPlace) {
  auto x = StridedMatrix::random(5, 33, 1);
  const auto dy = StridedMatrix::random(5, 33, 2);
  Tensor weight(Shape{33});
  std::ranges::fill(weight.floats(), 0.5F);
  const auto apart = run(1, x, dy, weight, false);
  auto dx = dy.copy();
  Tensor dweight(Shape{33});
  rms_norm_backward(Execution{1}, dx.view(), x.view(), weight, apart.inv_rms, dx.view(), dweight, false);
  EXPECT_TRUE(dx.same_bits(apart.dx));
  EXPECT_TRUE(std::ranges::equal(dweight.floats(), apart.dweight.floats()));
  Tensor inv_rms(Shape{5});
  rms_norm_forward(Execution{1}, x.view(), weight, kEps, x.view(), inv_rms);
  EXPECT_TRUE(x.same_bits(apart.y));
}

TEST(RmsNorm, OfNoTokensGivesZeroWeightGradient) {
  const StridedMatrix nothing(0, 8);
  Tensor weight(Shape{8});
  const auto results = run(2, nothing, nothing, weight, false);
  EXPECT_EQ(std::ranges::count(results.dweight.floats(), 0.0F), 8);
}

}  // namespace
}  // namespace troupe::ops
