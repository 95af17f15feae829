#include <limits>

#include "experts/router/score.h"
#include "experts/router/top_k.h"
#include "experts/router/weights.h"
#include "op_check.h"
#include "tensor/cuda/load_balance.h"
#include "tensor/cuda/plan.h"
#include "tensor/cuda/route.h"
#include "tensor/cuda/tally.h"

namespace troupe::op_check {
namespace {

constexpr double kTolerance = 5e-6;

/// A rule as the device and as the house's own router know it.
struct Rule {
  const char* name;
  experts::RouterOptions options;
  cuda::RouterRule rule;
};

std::vector<Rule> all_rules() {
  using experts::Score;
  constexpr float kScale = 2.5F;
  std::vector<Rule> rules;
  const auto add = [&](const char* name, Score score, cuda::RouterScore device_score, bool after,
                       bool normalize) {
    experts::RouterOptions options;
    options.score = score;
    options.softmax_after_topk = after;
    options.normalize_weights = normalize;
    options.scale = kScale;
    const auto weights = after       ? cuda::RouterWeights::kSoftmaxOfChosen
                         : normalize ? cuda::RouterWeights::kNormalizedScores
                                     : cuda::RouterWeights::kPlainScores;
    rules.push_back(
        {name, options, {device_score, weights, kScale, score == Score::kSoftmax ? 0.0F : 1e-20F}});
  };
  add("softmax", Score::kSoftmax, cuda::RouterScore::kSoftmax, false, false);
  add("softmax normalized", Score::kSoftmax, cuda::RouterScore::kSoftmax, false, true);
  add("softmax normalized", Score::kSoftmax, cuda::RouterScore::kSoftmax, false, true);
  rules.back().name = "softmax normalized by logits";
  rules.back().rule.weights = cuda::RouterWeights::kNormalizedSoftmax;
  add("softmax after", Score::kSoftmax, cuda::RouterScore::kSoftmax, true, true);
  add("sigmoid", Score::kSigmoid, cuda::RouterScore::kSigmoid, false, true);
  add("sigmoid plain", Score::kSigmoid, cuda::RouterScore::kSigmoid, false, false);
  add("sqrt_softplus", Score::kSqrtSoftplus, cuda::RouterScore::kSqrtSoftplus, false, true);
  return rules;
}

struct Sizes {
  std::int64_t tokens, choices, top_k;
};

/// What the house's own router makes of some logits, in fp32.
struct Routed {
  std::vector<float> scores, log_sum_exp, weights;
  std::vector<std::int32_t> chosen;
  std::vector<double> counts;
};

template <class T>
std::span<T> row_of(std::vector<T>& values, std::int64_t row, std::int64_t columns) {
  return std::span(values).subspan(static_cast<std::size_t>(row * columns),
                                   static_cast<std::size_t>(columns));
}

Routed routed(const Rule& rule, const Sizes& sizes, std::vector<float>& logits,
              const std::vector<float>& bias) {
  const auto choices = static_cast<std::size_t>(sizes.choices);
  const auto score = experts::score_function(rule.options.score);
  const auto weighting = experts::make_weighting(rule.options);
  Routed result{std::vector<float>(logits.size()), std::vector<float>(static_cast<std::size_t>(sizes.tokens)),
                std::vector<float>(static_cast<std::size_t>(sizes.tokens * sizes.top_k)),
                std::vector<std::int32_t>(static_cast<std::size_t>(sizes.tokens * sizes.top_k)),
                std::vector<double>(choices)};
  std::vector<float> values(choices);
  std::vector<float> scratch(static_cast<std::size_t>(sizes.top_k));
  for (std::int64_t token = 0; token < sizes.tokens; ++token) {
    const auto z = row_of(logits, token, sizes.choices);
    const auto s = row_of(result.scores, token, sizes.choices);
    const auto chosen = row_of(result.chosen, token, sizes.top_k);
    result.log_sum_exp[static_cast<std::size_t>(token)] = experts::log_sum_exp(z);
    score.forward(z, result.log_sum_exp[static_cast<std::size_t>(token)], s);
    for (std::size_t i = 0; i < choices; ++i)
      values[i] = (rule.options.softmax_after_topk ? z[i] : s[i]) + bias[i];
    experts::top_k(values, chosen, scratch);
    weighting->weigh(z, s, chosen, row_of(result.weights, token, sizes.top_k));
    for (const std::int32_t choice : chosen) result.counts[static_cast<std::size_t>(choice)] += 1.0;
  }
  return result;
}

template <class T>
std::vector<double> widened(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

/// Logits of steps of 1/8: many are equal, and no two that differ are near each other.
std::vector<float> coarse_logits(const Sizes& sizes) {
  auto logits = random_values(sizes.tokens * sizes.choices, 1);
  for (float& value : logits) value = std::round(value * 24.0F) / 8.0F;
  return logits;
}

/// Biases that move a choice by many steps, or by none.
std::vector<float> coarse_bias(std::int64_t choices) {
  auto bias = random_values(choices, 2);
  for (float& value : bias) value = std::round(value);
  return bias;
}

/// What the device makes of them.
struct OnDevice {
  cuda::Matrix<float> logits, scores, weights;
  cuda::Matrix<std::int32_t> chosen;
  float* log_sum_exp;
  std::int32_t* counts;
};

OnDevice route_on_device(Run& run, const Rule& rule, const Sizes& sizes, const std::vector<float>& logits,
                         const std::vector<float>& bias) {
  const std::int64_t tokens = sizes.tokens;
  const OnDevice routed{{run.upload(logits), tokens, sizes.choices, sizes.choices},
                        {run.output<float>(tokens * sizes.choices), tokens, sizes.choices, sizes.choices},
                        {run.output<float>(tokens * sizes.top_k), tokens, sizes.top_k, sizes.top_k},
                        {run.output<std::int32_t>(tokens * sizes.top_k), tokens, sizes.top_k, sizes.top_k},
                        run.output<float>(tokens),
                        run.upload(std::vector<std::int32_t>(static_cast<std::size_t>(sizes.choices)))};
  cuda::route_forward(run.stream(), {rule.rule, routed.logits, run.upload(bias), routed.scores,
                                     routed.log_sum_exp, routed.chosen, routed.weights, routed.counts});
  return routed;
}

void check_route(Run& run, const Rule& rule, const Sizes& sizes) {
  auto logits = coarse_logits(sizes);
  const auto bias = coarse_bias(sizes.choices);
  const Routed expected = routed(rule, sizes, logits, bias);
  const OnDevice actual = route_on_device(run, rule, sizes, logits, bias);
  run.expect("scores", actual.scores.data, widened(expected.scores), kTolerance);
  run.expect("log_sum_exp", actual.log_sum_exp, widened(expected.log_sum_exp), kTolerance);
  run.expect("chosen", actual.chosen.data, widened(expected.chosen), 0.0);
  run.expect("weights", actual.weights.data, widened(expected.weights), kTolerance);
  run.expect("counts", actual.counts, expected.counts, 0.0);
}

/// Forward on the device first, so that no bit depends on the host's mathematics.
void check_route_backward(Run& run, const Rule& rule, const Sizes& sizes, bool with_dscores) {
  auto logits = coarse_logits(sizes);
  const OnDevice routed = route_on_device(run, rule, sizes, logits, coarse_bias(sizes.choices));
  auto dweights = random_values(sizes.tokens * sizes.top_k, 3);
  auto dscores =
      with_dscores ? random_values(sizes.tokens * sizes.choices, 4) : std::vector<float>(logits.size());
  auto dlogits = random_values(sizes.tokens * sizes.choices, 5);
  constexpr float kZFactor = 0.125F;
  const cuda::Matrix<float> device_dlogits{run.upload(dlogits), sizes.tokens, sizes.choices, sizes.choices};
  const cuda::Matrix<float> device_dscores{with_dscores ? run.upload(dscores) : nullptr, sizes.tokens,
                                           sizes.choices, sizes.choices};
  const cuda::Matrix<float> device_dweights{run.upload(dweights), sizes.tokens, sizes.top_k, sizes.top_k};
  cuda::route_backward(run.stream(),
                       {rule.rule, routed.logits, routed.scores, routed.log_sum_exp, routed.chosen,
                        routed.weights, device_dweights, device_dscores, kZFactor, device_dlogits});
  auto scores = run.download(routed.scores.data, sizes.tokens * sizes.choices);
  auto weights = run.download(routed.weights.data, sizes.tokens * sizes.top_k);
  auto all_chosen = run.download(routed.chosen.data, sizes.tokens * sizes.top_k);
  const auto log_sum_exp = run.download(routed.log_sum_exp, sizes.tokens);
  const auto score = experts::score_function(rule.options.score);
  const auto weighting = experts::make_weighting(rule.options);
  for (std::int64_t token = 0; token < sizes.tokens; ++token) {
    const auto z = row_of(logits, token, sizes.choices);
    const auto s = row_of(scores, token, sizes.choices);
    const auto ds = row_of(dscores, token, sizes.choices);
    const auto dz = row_of(dlogits, token, sizes.choices);
    const auto chosen = row_of(all_chosen, token, sizes.top_k);
    weighting->add_gradient(s, {chosen, chosen}, row_of(weights, token, sizes.top_k),
                            row_of(dweights, token, sizes.top_k), ds, dz);
    score.add_gradient(s, ds, dz);
    const float lse = log_sum_exp[static_cast<std::size_t>(token)];
    for (std::size_t i = 0; i < z.size(); ++i) dz[i] += kZFactor * lse * std::exp(z[i] - lse);
  }
  run.expect("dlogits", device_dlogits.data, widened(dlogits), kTolerance);
}

/// Values of NaN and infinity are chosen last and first, every choice once.
void check_route_of_strange_scores(Run& run) {
  std::vector<float> logits(40, -1.0F);
  std::vector<float> bias(40, 0.0F);
  for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = -std::numeric_limits<float>::infinity();
  bias[33] = std::numeric_limits<float>::quiet_NaN();
  bias[7] = 0.0F;
  auto* chosen = run.output<std::int32_t>(5);
  cuda::route_forward(run.stream(),
                      {{cuda::RouterScore::kSigmoid, cuda::RouterWeights::kPlainScores, 1.0F, 0.0F},
                       {run.upload(logits), 1, 40, 40},
                       run.upload(bias),
                       {run.output<float>(40), 1, 40, 40},
                       run.output<float>(1),
                       {chosen, 1, 5, 5},
                       {run.output<float>(5), 1, 5, 5},
                       run.upload(std::vector<std::int32_t>(40))});
  run.expect("chosen", chosen, {7, 0, 1, 2, 3}, 0.0);
}

void check_load_balance(Run& run, std::int64_t tokens, std::int64_t choices, std::int64_t stretch) {
  constexpr double kValueFactor = 3.0;
  constexpr double kGradientFactor = 0.25;
  auto scores = random_values(tokens * choices, 1);
  for (float& value : scores) value = 0.5F + value / 4.0F;
  const auto before = random_values(tokens * choices, 2);
  std::vector<double> frequencies;
  for (const float value : random_values(tokens / stretch * choices, 3)) frequencies.push_back(1.0 + value);

  std::vector<double> values;
  std::vector<double> dscores(before.begin(), before.end());
  for (std::int64_t token = 0; token < tokens; ++token) {
    const auto at = [&](std::int64_t i) { return static_cast<std::size_t>(token * choices + i); };
    const double* f = frequencies.data() + token / stretch * choices;
    double sum = 0.0;
    for (std::int64_t i = 0; i < choices; ++i) sum += scores[at(i)];
    double value = 0.0;
    for (std::int64_t i = 0; i < choices; ++i) value += f[i] * scores[at(i)] / sum;
    values.push_back(kValueFactor * value);
    for (std::int64_t i = 0; i < choices; ++i) dscores[at(i)] += kGradientFactor * (f[i] - value) / sum;
  }
  const cuda::Matrix<float> actual{run.upload(before), tokens, choices, choices};
  auto* sums = run.output<double>(tokens);
  cuda::load_balance(run.stream(),
                     {.scores = cuda::Matrix<float>{run.upload(scores), tokens, choices, choices},
                      .frequencies = run.upload(frequencies),
                      .stretch = stretch,
                      .value_factor = kValueFactor,
                      .gradient_factor = kGradientFactor,
                      .dscores = actual,
                      .values = sums});
  run.expect("values", sums, values, 1e-6);
  run.expect("dscores", actual.data, dscores, 1e-6);
}

void check_plan(Run& run, std::int64_t tokens, std::int64_t slots, std::int32_t experts) {
  auto dispatched = random_integers(tokens * slots, experts, 1);
  for (std::size_t i = 0; i < dispatched.size(); i += 7) dispatched[i] = -1;
  std::vector<std::int32_t> order;
  for (std::int32_t e = 0; e < experts; ++e) order.push_back(e % 2 == 0 ? e / 2 : experts - 1 - e / 2);

  std::vector<double> counts(static_cast<std::size_t>(experts));
  std::vector<double> first_row(static_cast<std::size_t>(experts));
  std::vector<double> row_tokens;
  std::vector<double> row_pairs;
  std::vector<double> row_of_pair(dispatched.size(), -1.0);
  for (const std::int32_t expert : order) {
    first_row[static_cast<std::size_t>(expert)] = static_cast<double>(row_pairs.size());
    for (std::size_t pair = 0; pair < dispatched.size(); ++pair) {
      if (dispatched[pair] != expert) continue;
      counts[static_cast<std::size_t>(expert)] += 1.0;
      row_of_pair[pair] = static_cast<double>(row_pairs.size());
      row_pairs.push_back(static_cast<double>(pair));
      row_tokens.push_back(static_cast<double>(pair / static_cast<std::size_t>(slots)));
    }
  }
  const std::int64_t pairs = tokens * slots;
  cuda::PlanArguments arguments{run.upload(dispatched),
                                tokens,
                                slots,
                                run.upload(order),
                                experts,
                                run.output<std::int32_t>(experts),
                                run.output<std::int32_t>(experts),
                                run.output<std::int32_t>(pairs),
                                run.output<std::int32_t>(pairs),
                                run.output<std::int32_t>(pairs),
                                run.output<std::int32_t>(cuda::plan_chunks(pairs) * experts)};
  cuda::plan(run.stream(), arguments);
  run.expect("counts", arguments.counts, counts, 0.0);
  run.expect("first_row", arguments.first_row, first_row, 0.0);
  run.expect("tokens", arguments.tokens, row_tokens, 0.0);
  run.expect("pairs", arguments.pairs, row_pairs, 0.0);
  run.expect("slots", arguments.slots, row_of_pair, 0.0);
}

void check_count_domains(Run& run, std::int64_t tokens, std::int64_t slots, std::int32_t choices,
                         std::int32_t domain_count) {
  auto chosen = random_integers(tokens * slots, choices, 1);
  for (std::size_t i = 0; i < chosen.size(); i += 5) chosen[i] = -1;
  const auto domains = random_integers(tokens, domain_count, 2);
  const std::vector<std::int64_t> before(
      static_cast<std::size_t>(choices) * static_cast<std::size_t>(domain_count), 3);
  std::vector<double> expected(before.begin(), before.end());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const auto token = i / static_cast<std::size_t>(slots);
    if (chosen[i] >= 0) expected[static_cast<std::size_t>(domains[token] * choices + chosen[i])] += 1.0;
  }
  auto* counts = run.upload(before);
  cuda::count_domains(run.stream(), {run.upload(chosen), tokens, slots, slots}, run.upload(domains),
                      {counts, domain_count, choices, choices});
  run.expect("counts", counts, expected, 0.0);
}

}  // namespace

void add_routing_cases(std::vector<Case>& cases) {
  for (const Rule& rule : all_rules()) {
    for (const auto& sizes :
         {Sizes{13, 8, 2}, {9, 100, 8}, {3, 1000, 32}, {0, 8, 2}, {5, 3, 3}, {600, 64, 8}, {20, 256, 8}}) {
      const auto name =
          fmt::format("{} {} tokens, {} of {}", rule.name, sizes.tokens, sizes.top_k, sizes.choices);
      cases.push_back({"route_forward", name, [=](Run& run) { check_route(run, rule, sizes); }});
      cases.push_back({"route_backward", name,
                       [=](Run& run) { check_route_backward(run, rule, sizes, sizes.choices != 8); }});
    }
  }
  for (const auto& [tokens, choices, slots] : {Sizes{13, 8, 2}, {300, 100, 8}, {0, 8, 2}, {1, 1, 1}}) {
    cases.push_back(
        {"count_domains", fmt::format("{} tokens, {} of {}", tokens, slots, choices),
         [=](Run& run) { check_count_domains(run, tokens, slots, static_cast<std::int32_t>(choices), 3); }});
  }
  cases.push_back({"route_forward", "strange scores", check_route_of_strange_scores});
  for (const auto& [tokens, choices, stretch] :
       {Sizes{13, 8, 13}, {24, 100, 6}, {2, 1000, 1}, {0, 8, 1}, {600, 64, 600}}) {
    cases.push_back({"load_balance",
                     fmt::format("{} tokens, {} choices, {} together", tokens, choices, stretch),
                     [=](Run& run) { check_load_balance(run, tokens, choices, stretch); }});
  }
  struct PlanSizes {
    std::int64_t tokens, slots;
    std::int32_t experts;
  };
  for (const auto& [tokens, slots, experts] :
       {PlanSizes{300, 2, 8}, {700, 3, 100}, {5, 1, 1024}, {0, 2, 4}, {256, 1, 1}, {9000, 8, 256}}) {
    cases.push_back({"plan", fmt::format("{} tokens of {} slots, {} experts", tokens, slots, experts),
                     [=](Run& run) { check_plan(run, tokens, slots, experts); }});
  }
}

}  // namespace troupe::op_check
