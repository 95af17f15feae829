#include "tensor/ops/bias/bias.h"

#include "tensor/ops/bias/bias_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;
using testing::StridedMatrix;

class BiasTest : public ::testing::TestWithParam<std::pair<std::int64_t, std::int64_t>> {
 protected:
  std::int64_t rows_ = GetParam().first;
  std::int64_t columns_ = GetParam().second;
  std::vector<float> bias_ = random_values<float>(columns_, 1);
  StridedMatrix y_ = StridedMatrix::random(rows_, columns_, 2);

  [[nodiscard]] std::vector<float> gradient(int threads, Accumulate accumulate) {
    std::vector<float> dbias(bias_);
    bias_gradient(Execution{threads}, y_.view(), TensorView(dbias.data(), Shape{columns_}), accumulate);
    return dbias;
  }
};

TEST_P(BiasTest, IsAddedToEveryRow) {
  StridedMatrix expected = y_.copy();
  reference::add_bias<float>(bias_, expected.matrix());
  for (const int threads : {1, 2, 3}) {
    StridedMatrix y = y_.copy();
    add_bias(Execution{threads}, ConstTensorView(bias_.data(), Shape{columns_}), y.view());
    EXPECT_TRUE(y.same_bits(expected));
  }
}

TEST_P(BiasTest, GradientIsTheSumOfRowsInOrderForEveryNumberOfThreads) {
  std::vector<float> sums(bias_.size(), 0.0F);
  reference::add_bias_gradient<float>(y_.matrix(), sums);
  std::vector<float> added(bias_);
  for (std::size_t j = 0; j < added.size(); ++j) added[j] += sums[j];
  for (const int threads : {1, 2, 3}) {
    EXPECT_EQ(gradient(threads, Accumulate::kNo), sums);
    EXPECT_EQ(gradient(threads, Accumulate::kYes), added);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, BiasTest,
                         ::testing::Values(std::pair{1, 1}, std::pair{13, 31}, std::pair{300, 517},
                                           std::pair{0, 8}));

}  // namespace
}  // namespace troupe::ops
