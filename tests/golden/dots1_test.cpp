// The whole model against Hugging Face's dots1: same weights, same inputs, same numbers.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/index.h"
#include "tensor/ops/adamw/adamw.h"
#include "tests/golden/golden_model.h"

namespace troupe::golden {
namespace {

std::vector<std::int32_t> flattened(const nlohmann::json& rows) {
  std::vector<std::int32_t> values;
  for (const auto& row : rows) values.insert(values.end(), row.begin(), row.end());
  return values;
}

/// Our model with the weights and inputs of one case.
class Dots1 : public testing::TestWithParam<const char*> {
 protected:
  Dots1()
      : file_(GetParam()),
        tokens_(flattened(file_.index().at("tokens"))),
        targets_(flattened(file_.index().at("targets"))),
        first_visible_(tokens_.size(), 0),
        model_(GetParam(), {}, length(), std::ssize(tokens_)) {
    for (std::int64_t t = 0; t < std::ssize(tokens_); ++t)
      positions_.push_back(static_cast<std::int32_t>(t % length()));
  }

  [[nodiscard]] std::int64_t length() const { return std::ssize(file_.index().at("tokens").at(0)); }

  [[nodiscard]] MicrobatchInput input() const {
    const auto view = [](const std::vector<std::int32_t>& values) {
      return ConstTensorView(values.data(), Shape{std::ssize(values)});
    };
    return {view(tokens_), view(targets_), view(positions_), view(first_visible_)};
  }

  [[nodiscard]] model::StepContext step() const {
    const auto unmasked = std::ranges::count_if(targets_, [](std::int32_t target) { return target >= 0; });
    return {.target_tokens = unmasked, .routed_tokens = std::ssize(tokens_), .bias = model_.bias()};
  }

  void update(const ParameterTable& table, std::vector<float>& values, const std::vector<float>& gradient,
              std::vector<float>& first_moment, std::vector<float>& second_moment,
              std::int64_t number) const {
    const auto& adamw = file_.index().at("adamw");
    for (std::size_t i = 0; i < table.specs().size(); ++i) {
      const ops::AdamWStep step{
          .lr = adamw.at("lr"),
          .beta1 = adamw.at("beta1"),
          .beta2 = adamw.at("beta2"),
          .eps = adamw.at("eps"),
          .weight_decay = decays(table.specs()[i].role) ? adamw.at("weight_decay").get<double>() : 0.0,
          .step = number,
          .gradient_scale = 1.0F};
      ops::adamw({1}, step, table.view(std::span(values), i).floats(),
                 table.view(std::span<const float>(gradient), i).floats(),
                 table.view(std::span(first_moment), i).floats(),
                 table.view(std::span(second_moment), i).floats());
    }
  }

  GoldenFile file_;
  std::vector<std::int32_t> tokens_, targets_, positions_, first_visible_;
  GoldenModel model_;
};

TEST_P(Dots1, LogitsAndLossEqualHuggingFaces) {
  std::vector<float> logits;
  for (std::int64_t row = 0; row < std::ssize(tokens_); ++row) {
    std::vector<float> of_row(at(file_.index().at("config").at("vocab_size").get<std::int64_t>()));
    model_.transformer().logits_of_row(input(), step(), model_.weights(), row, of_row);
    logits.insert(logits.end(), of_row.begin(), of_row.end());
  }
  EXPECT_LE(relative_error(logits, file_.tensor("logits")), 1e-4);
  const double loss = model_.gradient(input(), step()).result.nll / static_cast<double>(step().target_tokens);
  EXPECT_NEAR(loss, file_.index().at("loss").get<double>(), 1e-4 * loss);
}

TEST_P(Dots1, EveryGradientEqualsHuggingFaces) {
  const auto ours = model_.gradient(input(), step());
  model_.expect_equal_below("gradients/", ours.dense, ours.experts, 1e-4);
}

TEST_P(Dots1, WeightsAfterFiveAdamWStepsEqualPyTorchs) {
  std::array<std::vector<float>, 2> first{zeros(model_.dense()), zeros(model_.experts())};
  std::array<std::vector<float>, 2> second = first;
  std::array<std::vector<float>, 2>& weights = model_.values();
  const std::int64_t steps = file_.index().at("adamw").at("steps");
  for (std::int64_t number = 1; number <= steps; ++number) {
    const auto ours = model_.gradient(input(), step());
    update(model_.dense(), weights[0], ours.dense, first[0], second[0], number);
    update(model_.experts(), weights[1], ours.experts, first[1], second[1], number);
  }
  model_.expect_equal_below("after/", weights[0], weights[1], 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Cases, Dots1, testing::Values("tied", "untied"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace troupe::golden
