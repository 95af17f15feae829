// Choice, weights and gradients of every selection with every score, against the fp64 reference and its
// central differences, the choice held fixed.
#include <gtest/gtest.h>

#include "tests/experts/router/router_run.h"

namespace troupe::experts {
namespace {

constexpr std::int64_t kTokens = 11;

RouterCase case_of(model::ModelOptions options) {
  RouterCase router_case;
  router_case.step = reference::random_step(options, {reference::random_batch(1, 1, kTokens)});
  router_case.step.seed = 5;
  router_case.step.first_token = 1000;
  router_case.options = std::move(options);
  return router_case;
}

std::vector<float> inputs(const model::ModelOptions& options, std::int64_t tokens = kTokens) {
  return reference::random_values(1, static_cast<std::size_t>(tokens * options.hidden_size));
}

void expect_the_reference(const RouterCase& router_case) {
  const auto& options = router_case.options;
  const reference::Weights weights(options, 0, 0);
  const auto x = inputs(options);
  const RouterRun run = run_router(router_case, weights, x);
  const reference::Model model(options, reference::kVocab);
  reference::Parameters parameters = weights.parameters();
  reference::Values input(x.begin(), x.end());
  const auto fixed = model.route(parameters, kLayerPrefix, input, router_case.step, 0);
  ASSERT_EQ(run.chosen, fixed.chosen);
  for (std::size_t t = 0; t < fixed.weights.size(); ++t) {
    ASSERT_EQ(run.weights[t].size(), fixed.weights[t].size()) << "token " << t;
    for (std::size_t j = 0; j < fixed.weights[t].size(); ++j)
      EXPECT_NEAR(run.weights[t][j], fixed.weights[t][j], 1e-5);
  }
  if (!router_case.step.training) return;

  const auto of_pairs = pair_weights(options, kTokens);
  const auto choices = static_cast<std::size_t>(options.moe.choices());
  const auto loss = [&] {
    const auto routing = model.route(parameters, kLayerPrefix, input, router_case.step, 0, &fixed);
    double sum = routing.objective;
    for (std::size_t t = 0; t < routing.chosen.size(); ++t) {
      for (std::size_t j = 0; j < routing.chosen[t].size(); ++j)
        sum += of_pairs[t * choices + static_cast<std::size_t>(routing.chosen[t][j])] * routing.weights[t][j];
    }
    return sum;
  };
  EXPECT_LE(reference::gradient_error(run.dx, input, loss, 200), 1e-4);
  for (std::size_t i = 0; i < weights.dense.specs().size(); ++i) {
    const auto& spec = weights.dense.specs()[i];
    if (!spec.name.starts_with(kLayerPrefix + "router")) continue;
    const auto analytic = reference::tensor(weights.dense, run.dense_gradient, i);
    EXPECT_LE(reference::gradient_error(analytic, parameters.at({spec.name, -1}), loss, 200), 1e-4)
        << spec.name;
  }
}

class SelectionAndScore : public testing::TestWithParam<std::tuple<Selection, Score>> {
 protected:
  static model::ModelOptions options() {
    return options_of(std::get<0>(GetParam()), std::get<1>(GetParam()));
  }
};

TEST_P(SelectionAndScore, EqualTheReferenceWithNormalizedWeights) {
  expect_the_reference(case_of(options()));
}

TEST_P(SelectionAndScore, EqualTheReferenceWithPlainScores) {
  model::ModelOptions plain = options();
  plain.moe.router.normalize_weights = false;
  expect_the_reference(case_of(plain));
}

TEST_P(SelectionAndScore, EqualTheReferenceWithEveryOtherOption) {
  model::ModelOptions all = options();
  const Selection selection = all.moe.router.selection;
  all.moe.router.linear_bias = true;
  all.moe.router.jitter = 0.3;
  if (selection != Selection::kGroupLimited && selection != Selection::kExpertChoice)
    all.moe.router.zero_experts = 3;
  all.moe.aux_loss = {{AuxLossKind::kLoadBalance, AuxScope::kMicro, 0.2, FrequencySource::kActual}};
  expect_the_reference(case_of(all));
}

TEST_P(SelectionAndScore, EqualTheReferenceInEvaluation) {
  model::ModelOptions quiet = options();
  quiet.moe.router.jitter = 0.3;
  RouterCase evaluation = case_of(quiet);
  evaluation.step.training = false;
  expect_the_reference(evaluation);
}

TEST_P(SelectionAndScore, HaveTheSameBitsWithOneThreadAndTwo) {
  model::ModelOptions all = options();
  all.moe.router.linear_bias = true;
  all.moe.router.jitter = 0.3;
  RouterCase router_case = case_of(all);
  const reference::Weights weights(all, 0, 0);
  const auto x = inputs(all, 300);
  const RouterRun one = run_router(router_case, weights, x);
  router_case.threads = 2;
  EXPECT_TRUE(one == run_router(router_case, weights, x));
}

TEST_P(SelectionAndScore, AllowNoTokens) {
  const RouterCase router_case = case_of(options());
  const reference::Weights weights(router_case.options, 0, 0);
  const RouterRun run = run_router(router_case, weights, {});
  EXPECT_TRUE(run.chosen.empty());
  EXPECT_EQ(run.dense_gradient, std::vector<float>(run.dense_gradient.size(), 0.0F));
}

std::string name_of(const testing::TestParamInfo<std::tuple<Selection, Score>>& info) {
  const auto [selection, score] = info.param;
  return std::string(kSelectionNames[static_cast<std::size_t>(selection)]) + "_with_" +
         std::string(kScoreNames[static_cast<std::size_t>(score)]);
}

INSTANTIATE_TEST_SUITE_P(
    Router, SelectionAndScore,
    testing::Combine(testing::Values(Selection::kTopK, Selection::kGshardSecond, Selection::kGroupLimited,
                                     Selection::kExpertChoice, Selection::kSinkhorn),
                     testing::Values(Score::kSoftmax, Score::kSigmoid, Score::kSqrtSoftplus)),
    name_of);

INSTANTIATE_TEST_SUITE_P(NoisyRouter, SelectionAndScore,
                         testing::Values(std::tuple(Selection::kNoisyTopK, Score::kSoftmax)), name_of);

TEST(RouterGradient, EqualsTheReferenceWithSoftmaxAfterTopK) {
  for (const Selection selection : {Selection::kTopK, Selection::kGroupLimited}) {
    model::ModelOptions options = options_of(selection, Score::kSoftmax);
    options.moe.router.softmax_after_topk = true;
    expect_the_reference(case_of(options));
  }
}

TEST(RouterGradient, EqualsTheReferenceWithTheBestExpertOfEachGroup) {
  model::ModelOptions options = options_of(Selection::kGroupLimited, Score::kSoftmax);
  options.moe.router.group_score = GroupScore::kMax;
  expect_the_reference(case_of(options));
}

TEST(RouterGradient, EqualsTheReferenceWithAllExpertsChosen) {
  model::ModelOptions options = options_of(Selection::kTopK, Score::kSigmoid);
  options.moe.top_k = options.moe.experts;
  expect_the_reference(case_of(options));
}

TEST(RouterGradient, EqualsTheReferenceWithASingleExpert) {
  for (const Selection selection : {Selection::kTopK, Selection::kExpertChoice, Selection::kSinkhorn}) {
    model::ModelOptions options = options_of(selection, Score::kSigmoid);
    options.moe.experts = 1;
    options.moe.top_k = 1;
    options.moe.router.normalize_weights = false;
    expect_the_reference(case_of(options));
  }
}

}  // namespace
}  // namespace troupe::experts
