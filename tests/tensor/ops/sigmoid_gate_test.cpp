#include "tensor/ops/sigmoid_gate/sigmoid_gate.h"

#include "tensor/ops/sigmoid_gate/sigmoid_gate_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;

TEST(SigmoidGateReference, GradientsAgreeWithCentralDifferences) {
  auto x = random_values<double>(11, 1);
  auto gate = random_values<double>(11, 2);
  const auto dy = random_values<double>(11, 3);
  std::vector<double> y(x.size());
  const auto loss = [&] {
    reference::sigmoid_gate<double>(x, gate, y);
    return testing::dot(y, dy);
  };
  std::vector<double> dx(x.size());
  std::vector<double> dgate(x.size());
  reference::sigmoid_gate_backward<double>(dy, x, gate, dx, dgate);
  testing::expect_gradient(loss, x, dx);
  testing::expect_gradient(loss, gate, dgate);
}

TEST(SigmoidGate, AgreesWithTheReferenceForEveryNumberOfThreads) {
  constexpr std::int64_t kCount = 40'001;
  auto x = random_values<float>(kCount, 1);
  auto gate = random_values<float>(kCount, 2);
  auto dy = random_values<float>(kCount, 3);
  for (float& value : gate) value *= 9.0F;
  std::vector<float> expected(x.size());
  std::vector<float> expected_dx(x.size());
  std::vector<float> expected_dgate(x.size());
  reference::sigmoid_gate<float>(x, gate, expected);
  reference::sigmoid_gate_backward<float>(dy, x, gate, expected_dx, expected_dgate);
  std::vector<float> once;
  for (const int threads : {1, 3}) {
    std::vector<float> y(x.size());
    std::vector<float> dx = dy;
    std::vector<float> dgate(x.size());
    sigmoid_gate({threads}, TensorView(std::span(x)), TensorView(std::span(gate)), TensorView(std::span(y)));
    sigmoid_gate_backward({threads}, TensorView(std::span(dx)), TensorView(std::span(x)),
                          TensorView(std::span(gate)), TensorView(std::span(dx)),
                          TensorView(std::span(dgate)));
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_NEAR(y[i], expected[i], 1e-6F);
      ASSERT_NEAR(dx[i], expected_dx[i], 1e-6F);
      ASSERT_NEAR(dgate[i], expected_dgate[i], 1e-6F);
    }
    if (once.empty()) once = dgate;
    EXPECT_EQ(dgate, once);
  }
}

}  // namespace
}  // namespace troupe::ops
