#include "tensor/ops/embedding/embedding.h"

#include "tensor/ops/embedding/embedding_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;
using testing::StridedMatrix;

TEST(EmbeddingReference, GradientAgreesWithCentralDifferences) {
  const std::vector<std::int32_t> tokens{3, 1, 3, 0};
  auto table = random_values<double>(5 * 2, 1);
  auto dout = random_values<double>(4 * 2, 2);
  std::vector<double> out(dout.size());
  const auto loss = [&] {
    reference::embedding_forward<double>(tokens, testing::matrix_of(table, 2), testing::matrix_of(out, 2));
    return testing::dot(out, dout);
  };
  std::vector<double> gradient(table.size());
  reference::embedding_backward<double>(tokens, testing::matrix_of(dout, 2), testing::matrix_of(gradient, 2));
  testing::expect_gradient(loss, table, gradient);
}

class EmbeddingTest : public ::testing::TestWithParam<std::int64_t> {
 protected:
  static constexpr std::int64_t kTokens = 150;
  static constexpr std::int64_t kVocab = 11;
  std::int64_t hidden_ = GetParam();
  testing::Integers tokens_ = [] {
    std::vector<std::int32_t> values;
    for (int t = 0; t < kTokens; ++t) values.push_back(t * t % kVocab);
    return testing::Integers(Shape{kTokens}, values);
  }();
};

TEST_P(EmbeddingTest, AgreesWithTheReference) {
  const auto table = StridedMatrix::random(kVocab, hidden_, 1);
  const auto dout = StridedMatrix::random(kTokens, hidden_, 2);
  StridedMatrix out(kTokens, hidden_);
  StridedMatrix expected_out(kTokens, hidden_);
  embedding_forward(Execution{2}, tokens_.view(), table.view(), out.view());
  reference::embedding_forward<float>(tokens_.span(), table.matrix(), expected_out.matrix());
  EXPECT_TRUE(out.same_bits(expected_out));
  for (const int threads : {1, 2, 3}) {  // additions in token order: bits equal the reference's
    auto gradient = table.copy();
    auto expected = table.copy();
    embedding_backward(Execution{threads}, tokens_.view(), dout.view(), gradient.view());
    reference::embedding_backward<float>(tokens_.span(), dout.matrix(), expected.matrix());
    EXPECT_TRUE(gradient.same_bits(expected));
  }
}

INSTANTIATE_TEST_SUITE_P(HiddenSizes, EmbeddingTest, ::testing::Values(1, 37, 512));

TEST(Embedding, RefusesATokenOutsideTheVocabulary) {
  const StridedMatrix table(4, 8);
  StridedMatrix out(1, 8);
  const testing::Integers outside(Shape{1}, {4});
  const testing::Integers negative(Shape{1}, {-1});
  EXPECT_THROW(embedding_forward(Execution{1}, outside.view(), table.view(), out.view()), Error);
  EXPECT_THROW(embedding_forward(Execution{1}, negative.view(), table.view(), out.view()), Error);
}

}  // namespace
}  // namespace troupe::ops
