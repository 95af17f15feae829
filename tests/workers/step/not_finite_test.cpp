#include "workers/step/not_finite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace troupe::workers {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// A dense layer, then layers with experts: 1 and 2.
model::ModelOptions options() {
  model::ModelOptions options;
  options.layers = 3;
  options.moe.first_dense_layers = 1;
  return options;
}

StepResult finite_step() {
  StepResult step;
  step.layer_router_z = {1.0, 2.0};
  return step;
}

TEST(NotFinite, IsNothingWhereAllIsFinite) { EXPECT_EQ(not_finite(finite_step(), {}, options()), ""); }

TEST(NotFinite, NamesTheFirstLayerWhoseActivationsAreBad) {
  StepResult step = finite_step();
  step.loss = step.loss_lm = kNan;
  step.layer_router_z = {1.0, std::numeric_limits<double>::infinity()};
  const std::string words = not_finite(step, {}, options());
  EXPECT_THAT(words, HasSubstr("the loss of the text"));
  EXPECT_THAT(words, HasSubstr("router of layer 2"));
  EXPECT_THAT(words, Not(HasSubstr("gradient")));
}

TEST(NotFinite, NamesTheGradientNearestToTheLoss) {
  StepResult step = finite_step();
  step.grad_norm = kNan;
  const std::vector<std::string> names{"embedding/weight", "layers/00/ffn/down_proj",
                                       "layers/02/attention/out_proj"};
  const std::string words = not_finite(step, names, options());
  EXPECT_THAT(words, HasSubstr("3 parameters"));
  EXPECT_THAT(words, HasSubstr("layers/02/attention/out_proj"));
  EXPECT_THAT(not_finite(step, {"head/weight"}, options()), HasSubstr("head/weight"));
}

TEST(NotFinite, TellsAnAuxiliaryLossAndANormThatOverflows) {
  StepResult step = finite_step();
  step.loss = kNan;
  EXPECT_THAT(not_finite(step, {}, options()), HasSubstr("an auxiliary loss"));
  step = finite_step();
  step.grad_norm = std::numeric_limits<double>::infinity();
  EXPECT_THAT(not_finite(step, {}, options()), HasSubstr("norm of the gradient"));
}

}  // namespace
}  // namespace troupe::workers
