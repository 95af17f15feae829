// Objectives that compare two answers, against PyTorch's autograd (generate_preferences.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/index.h"
#include "data/batch.h"
#include "model/preference.h"
#include "tests/golden/golden_model.h"

namespace troupe::golden {
namespace {

using model::ObjectiveKind;

/// A pair lies in a sequence of its own, each half a document.
struct PairBatch {
  std::vector<std::int32_t> tokens, targets, positions, first_visible;
  std::vector<PreferencePair> pairs;

  void add_half(const std::vector<std::int32_t>& text, std::int32_t prompt, std::int32_t place) {
    for (std::int32_t i = 0; i < std::ssize(text); ++i) {
      tokens.push_back(text[at(i)]);
      const bool answer = prompt - 1 <= i && i + 1 < std::ssize(text);  // the next token is of the answer
      targets.push_back(answer ? text[at(i) + 1] : data::kMaskedTarget);
      positions.push_back(i);
      first_visible.push_back(place);
    }
  }

  explicit PairBatch(const nlohmann::json& index) {
    for (std::size_t i = 0; i < index.at("pairs").size(); ++i) {
      const auto& pair = index.at("pairs")[i];
      const auto chosen = pair.at("chosen").get<std::vector<std::int32_t>>();
      const auto rejected = pair.at("rejected").get<std::vector<std::int32_t>>();
      const std::int64_t begin = std::ssize(tokens);
      add_half(chosen, pair.at("prompt"), 0);
      add_half(rejected, pair.at("prompt"), static_cast<std::int32_t>(chosen.size()));
      const double reference = index.contains("reference") ? index.at("reference")[i].get<double>() : 0.0;
      pairs.push_back({begin, begin + std::ssize(chosen), std::ssize(tokens), reference});
    }
  }

  [[nodiscard]] MicrobatchInput input() const {
    const auto view = [](const std::vector<std::int32_t>& values) {
      return ConstTensorView(values.data(), Shape{std::ssize(values)});
    };
    MicrobatchInput input{view(tokens), view(targets), view(positions), view(first_visible)};
    input.pairs = pairs;
    return input;
  }
};

class Preferences : public testing::TestWithParam<ObjectiveKind> {
 protected:
  Preferences()
      : name_(model::kObjectiveNames[at(GetParam())]),
        file_(name_),
        objective_{.kind = GetParam(), .beta = file_.index().value("beta", 1.0)},
        batch_(file_.index()),
        model_(name_, objective_, batch_.pairs.front().end, std::ssize(batch_.tokens)) {}

  [[nodiscard]] model::StepContext step() const {
    return {.target_tokens = std::ssize(batch_.pairs),
            .routed_tokens = std::ssize(batch_.tokens),
            .bias = model_.bias()};
  }

  std::string name_;
  GoldenFile file_;
  model::ObjectiveOptions objective_;
  PairBatch batch_;
  GoldenModel model_;
};

TEST_P(Preferences, LossAndMarginsEqualPyTorchs) {
  std::vector<model::PairScores> scores(batch_.pairs.size());
  model::MicrobatchResult result = model_.transformer().make_result();
  model_.transformer().score(batch_.input(), step(), model_.weights(), scores, result);
  double margins = 0.0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double expected = file_.index().at("margins")[i].get<double>();
    EXPECT_NEAR(model::margin_of(objective_, batch_.pairs[i], scores[i]), expected,
                1e-4 * std::max(1.0, std::abs(expected)));
    margins += expected;
  }
  const auto trained = model_.gradient(batch_.input(), step()).result;
  EXPECT_NEAR(trained.nll / static_cast<double>(scores.size()), file_.index().at("loss").get<double>(), 1e-4);
  EXPECT_NEAR(trained.margin, margins, 1e-3);
}

TEST_P(Preferences, EveryGradientEqualsPyTorchs) {
  const auto ours = model_.gradient(batch_.input(), step());
  model_.expect_equal_below("gradients/", ours.dense, ours.experts, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Objectives, Preferences,
                         testing::Values(ObjectiveKind::kDpo, ObjectiveKind::kReward), [](const auto& kind) {
                           return std::string(model::kObjectiveNames[at(kind.param)]);
                         });

}  // namespace
}  // namespace troupe::golden
