#include "tensor/ops/adamw/adamw.h"

#include <cmath>
#include <limits>

#include "tensor/ops/adamw/adamw_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;

struct State {
  std::vector<float> value, gradient, first, second;

  explicit State(std::int64_t size)
      : value(random_values<float>(size, 1)),
        gradient(random_values<float>(size, 2)),
        first(random_values<float>(size, 3)),
        second(random_values<float>(size, 4)) {
    for (float& v : second) v = std::abs(v);
  }
};

AdamWStep step_number(std::int64_t number) {
  return {.lr = 1e-2,
          .beta1 = 0.9,
          .beta2 = 0.95,
          .eps = 1e-8,
          .weight_decay = 0.1,
          .step = number,
          .gradient_scale = 0.5F};
}

TEST(AdamW, FollowsTheReferenceOverSteps) {
  State fast(1003);
  State slow(1003);
  for (std::int64_t number = 1; number <= 4; ++number) {
    adamw(Execution{1}, step_number(number), fast.value, fast.gradient, fast.first, fast.second);
    reference::adamw<float>(step_number(number), slow.value, slow.gradient, slow.first, slow.second);
  }
  for (std::size_t i = 0; i < fast.value.size(); ++i) {
    ASSERT_NEAR(fast.value[i], slow.value[i], 1e-5F * (1.0F + std::abs(slow.value[i])));
    ASSERT_NEAR(fast.first[i], slow.first[i], 1e-6F);
    ASSERT_NEAR(fast.second[i], slow.second[i], 1e-6F);
  }
}

TEST(AdamW, GivesTheSameBitsForEveryNumberOfThreadsAndEverySplit) {
  constexpr std::int64_t kSize = 70'001;
  constexpr std::size_t kCut = 12'345;
  State once(kSize);
  adamw(Execution{1}, step_number(3), once.value, once.gradient, once.first, once.second);
  for (const int threads : {2, 3}) {
    State state(kSize);
    const auto part = [&](std::size_t begin, std::size_t count) {
      adamw(Execution{threads}, step_number(3), std::span(state.value).subspan(begin, count),
            std::span<const float>(state.gradient).subspan(begin, count),
            std::span(state.first).subspan(begin, count), std::span(state.second).subspan(begin, count));
    };
    part(0, kCut);
    part(kCut, static_cast<std::size_t>(kSize) - kCut);
    EXPECT_EQ(state.value, once.value);
    EXPECT_EQ(state.first, once.first);
    EXPECT_EQ(state.second, once.second);
  }
}

TEST(AdamW, MakesNothingInfiniteOfFiniteInput) {
  constexpr float kMost = std::numeric_limits<float>::max();
  const std::vector<float> extremes{0.0F, 1e-45F, 1e-30F, 1.0F, 1e25F, kMost, -1e-45F, -1e25F, -kMost};
  for (const double eps : {1e-30, 1e-8}) {
    for (const double weight_decay : {0.0, 1e3}) {
      std::vector<float> value, gradient, first, second;
      for (const float v : extremes) {
        for (const float g : extremes) {
          value.push_back(v);
          gradient.push_back(g);
          first.push_back(-g);
          second.push_back(std::abs(v));
        }
      }
      AdamWStep step = step_number(1);
      step.lr = 1e3;
      step.eps = eps;
      step.weight_decay = weight_decay;
      step.gradient_scale = 1.0F;
      for (; step.step <= 4; ++step.step) adamw(Execution{1}, step, value, gradient, first, second);
      for (const auto* values : {&value, &first, &second}) {
        for (std::size_t i = 0; i < values->size(); ++i)
          EXPECT_TRUE(std::isfinite((*values)[i]))
              << "value " << extremes[i / extremes.size()] << ", gradient " << extremes[i % extremes.size()]
              << ", eps " << eps;
      }
    }
  }
}

TEST(AdamW, FirstStepMovesByTheLearningRateAgainstTheGradient) {
  std::vector<float> value{1.0F, 1.0F, 1.0F};
  const std::vector<float> gradient{3.0F, -0.2F, 0.0F};
  std::vector<float> first(3);
  std::vector<float> second(3);
  AdamWStep step = step_number(1);
  step.weight_decay = 0.0;
  adamw(Execution{1}, step, value, gradient, first, second);
  EXPECT_NEAR(value[0], 0.99F, 1e-6F);
  EXPECT_NEAR(value[1], 1.01F, 1e-6F);
  EXPECT_EQ(value[2], 1.0F);
}

TEST(AdamW, RefusesArraysOfDifferentSizesAndStepZero) {
  State state(8);
  EXPECT_THROW(adamw(Execution{1}, step_number(1), state.value, std::span(state.gradient).first(7),
                     state.first, state.second),
               Error);
  EXPECT_THROW(adamw(Execution{1}, step_number(0), state.value, state.gradient, state.first, state.second),
               Error);
}

}  // namespace
}  // namespace troupe::ops
