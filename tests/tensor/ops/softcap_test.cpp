#include "tensor/ops/softcap/softcap.h"

#include "tensor/ops/softcap/softcap_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;

constexpr double kFactor = 0.6;
constexpr double kCap = 0.8;

TEST(SoftcapReference, GradientAgreesWithCentralDifferences) {
  auto x = random_values<double>(11, 1);
  const auto dy = random_values<double>(11, 2);
  std::vector<double> y;
  const auto loss = [&] {
    y = x;
    reference::softcap<double>(kFactor, kCap, y);
    return testing::dot(y, dy);
  };
  loss();
  std::vector<double> dx(x.size());
  reference::softcap_backward<double>(dy, y, kFactor, kCap, dx);
  testing::expect_gradient(loss, x, dx);
}

TEST(Softcap, AgreesWithTheReferenceForEveryNumberOfThreads) {
  constexpr std::int64_t kCount = 40'001;
  auto expected = random_values<float>(kCount, 1);
  for (float& value : expected) value *= 5.0F;
  const auto dy = random_values<float>(kCount, 2);
  std::vector<float> expected_dx(expected.size());
  const auto start = expected;
  reference::softcap<float>(kFactor, kCap, expected);
  reference::softcap_backward<float>(dy, expected, kFactor, kCap, expected_dx);
  std::vector<float> once;
  for (const int threads : {1, 3}) {
    auto y = start;
    auto dx = dy;
    softcap({threads}, kFactor, kCap, TensorView(std::span(y)));
    softcap_backward({threads}, TensorView(std::span(dx)), TensorView(std::span(y)), kFactor, kCap,
                     TensorView(std::span(dx)));
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_NEAR(y[i], expected[i], 1e-6F);
      ASSERT_NEAR(dx[i], expected_dx[i], 2e-6F);
    }
    if (once.empty()) once = dx;
    EXPECT_EQ(dx, once);
  }
}

}  // namespace
}  // namespace troupe::ops
