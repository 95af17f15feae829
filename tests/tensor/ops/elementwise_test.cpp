#include "tensor/ops/elementwise/elementwise.h"

#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;

constexpr std::int64_t kOddSize = 100'003;  // several tasks and a tail

TEST(Elementwise, AddsEveryElementOnce) {
  const auto a = random_values<float>(kOddSize, 1);
  const auto b = random_values<float>(kOddSize, 2);
  for (const int threads : {1, 2, 3}) {
    std::vector<float> out(a.size());
    sum(Execution{threads}, a, b, out);
    auto total = b;
    add(Execution{threads}, a, total);
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(out[i], a[i] + b[i]) << i;
    EXPECT_EQ(total, out);
    zero(Execution{threads}, total);
    EXPECT_EQ(std::ranges::count(total, 0.0F), kOddSize);
  }
}

TEST(Elementwise, SumMayOverwriteAnOperand) {
  auto a = random_values<float>(77, 1);
  const auto b = random_values<float>(77, 2);
  std::vector<float> expected(a.size());
  sum(Execution{1}, a, b, expected);
  sum(Execution{1}, a, b, a);
  EXPECT_EQ(a, expected);
}

TEST(SumOfSquares, AddsInItsDocumentedOrder) {
  const auto values = random_values<float>(1000, 3);
  for (std::size_t size = 0; size <= values.size(); ++size) {
    const auto x = std::span(values).first(size);
    double lanes[16] = {};
    for (std::size_t i = 0; i < x.size(); ++i)
      lanes[i % 16] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    double expected = 0.0;
    for (const double lane : lanes) expected += lane;
    EXPECT_EQ(sum_of_squares(x), expected) << size;
  }
}

TEST(SumOfSquares, DoesNotDependOnAlignment) {
  const auto x = random_values<float>(1000, 3);
  std::vector<float> shifted(x.size() + 1);
  std::ranges::copy(x, shifted.begin() + 1);
  EXPECT_EQ(sum_of_squares(std::span(shifted).subspan(1)), sum_of_squares(x));
}

}  // namespace
}  // namespace troupe::ops
