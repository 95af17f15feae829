// The router of the reference model: scores, selections and weights in the order of the formulas.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "model/parameters.h"
#include "tests/reference/reference_aux_loss.h"
#include "tests/reference/reference_model.h"

namespace troupe::reference {

std::vector<int> best(const Values& values, std::int64_t k) {
  std::vector<int> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int a, int b) { return values[at(a)] > values[at(b)]; });
  order.resize(at(k));
  return order;
}

namespace {

using experts::MoeOptions;
using experts::Score;
using experts::Selection;
using Rows = std::vector<Values>;
using Choice = std::vector<std::vector<int>>;  // [tokens][slots]

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

double sum_of(const Values& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

Values score_of(Score score, const Values& z) {
  const double lse = log_sum_exp(z);
  Values s;
  for (const double value : z) {
    if (score == Score::kSigmoid) s.push_back(1.0 / (1.0 + std::exp(-value)));
    if (score == Score::kSqrtSoftplus) s.push_back(std::sqrt(softplus(value)));
    if (score == Score::kSoftmax) s.push_back(std::exp(value - lse));
  }
  return s;
}

/// Excluded groups at -infinity.
Values in_best_groups(const MoeOptions& o, const Values& biased) {
  const auto size = o.experts / o.router.groups;
  Values group_scores;
  for (std::int64_t g = 0; g < o.router.groups; ++g) {
    Values group(biased.begin() + g * size, biased.begin() + (g + 1) * size);
    std::ranges::sort(group, std::greater());
    const bool two = o.router.group_score == experts::GroupScore::kTop2Sum && size > 1;
    group_scores.push_back(group[0] + (two ? group[1] : 0.0));
  }
  Values kept(biased.size(), -std::numeric_limits<double>::infinity());
  for (const int g : best(group_scores, o.router.top_groups)) {
    for (std::int64_t i = g * size; i < (g + 1) * size; ++i) kept[at(i)] = biased[at(i)];
  }
  return kept;
}

Choice choose_by_expert(const MoeOptions& o, const Rows& scores) {
  const auto tokens = std::ssize(scores);
  const double share = static_cast<double>(o.top_k * tokens) / static_cast<double>(o.experts);
  const auto taken = std::min(tokens, static_cast<std::int64_t>(std::ceil(share * o.capacity.factor)));
  Choice chosen(scores.size());
  for (int expert = 0; expert < o.experts; ++expert) {
    Values column;
    for (const Values& s : scores) column.push_back(s[at(expert)]);
    for (const int token : best(column, taken)) chosen[at(token)].push_back(expert);
  }
  return chosen;
}

Rows sinkhorn(const MoeOptions& o, const Rows& logits) {
  Rows values = logits;
  for (Values& row : values) std::ranges::transform(row, row.begin(), [](double z) { return std::exp(z); });
  for (std::int64_t round = 0; round < o.router.sinkhorn_iterations; ++round) {
    for (Values& row : values) {
      const double sum = sum_of(row);
      for (double& value : row) value /= sum;
    }
    for (std::size_t i = 0; i < at(o.choices()); ++i) {
      double sum = 0.0;
      for (const Values& row : values) sum += row[i];
      for (Values& row : values) row[i] /= sum;
    }
  }
  return values;
}

/// Whether gshard_second keeps the second of a token's two experts.
bool keeps_second(const Step& step, std::int64_t layer, std::int64_t token, double g1, double g2) {
  const Random random(step.seed, RandomPurpose::kSecondExpert, static_cast<std::uint32_t>(layer));
  const double u = step.training ? random.uniform(static_cast<std::uint64_t>(step.first_token + token)) : 0.5;
  return 2.0 * g2 / (g1 + g2) > u;
}

Values jittered(const Values& x, double jitter, const Step& step, std::int64_t layer, std::int64_t hidden) {
  if (jitter == 0.0 || !step.training) return x;
  const Random random(step.seed, RandomPurpose::kRouterJitter, static_cast<std::uint32_t>(layer));
  const std::int64_t quads = (hidden + 3) / 4;
  Values y = x;
  for (std::int64_t i = 0; i < std::ssize(x); ++i) {
    const std::int64_t token = step.first_token + i / hidden;
    const auto words = random.words(static_cast<std::uint64_t>(token * quads + i % hidden / 4));
    const double u = static_cast<double>(words[at(i % hidden % 4)] >> 8) * 0x1p-24;
    y[at(i)] *= 1.0 + jitter * (2.0 * u - 1.0);
  }
  return y;
}

Values weights_of(const MoeOptions& o, const Values& z, const Values& s, const std::vector<int>& candidates,
                  const std::vector<int>& chosen) {
  Values weights;
  double sum = 1.0;
  Values considered;
  const Values& from = o.router.softmax_after_topk ? z : s;
  for (const int expert : candidates) considered.push_back(from[at(expert)]);
  if (o.router.softmax_after_topk) {
    const double lse = log_sum_exp(considered);
    for (const int expert : chosen) weights.push_back(std::exp(z[at(expert)] - lse));
  } else {
    if (o.router.normalize_weights)
      sum = sum_of(considered) + (o.router.score == Score::kSoftmax ? 0.0 : 1e-20);
    for (const int expert : chosen) weights.push_back(s[at(expert)] / sum);
  }
  for (double& weight : weights) weight *= o.router.scale;
  return weights;
}

}  // namespace

Rows Model::router_logits(const Parameters& parameters, const std::string& prefix, const Values& input,
                          const Step& step, std::int64_t layer) const {
  const auto& o = options_.moe;
  const std::int64_t choices = o.choices();
  const Values x = jittered(input, o.router.jitter, step, layer, options_.hidden_size);
  const Values z = linear(x, parameters.at({prefix + "router/weight", -1}), options_.hidden_size);
  Rows logits;
  for (std::int64_t t = 0; t < std::ssize(z) / choices; ++t) {
    logits.push_back(row_of(z, t, choices));
    if (o.router.linear_bias) add(logits.back(), parameters.at({prefix + "router/linear_bias", -1}));
    const double cap = o.router.softcap;
    for (double& value : logits.back()) value = cap > 0.0 ? cap * std::tanh(value / cap) : value;
  }
  if (o.router.selection != Selection::kNoisyTopK || !step.training) return logits;
  const Values raw = linear(x, parameters.at({prefix + "router/noise_weight", -1}), options_.hidden_size);
  const Random random(step.seed, RandomPurpose::kRouter, static_cast<std::uint32_t>(layer));
  for (std::int64_t i = 0; i < std::ssize(raw); ++i) {
    const auto number = static_cast<std::uint64_t>(step.first_token * choices + i);
    logits[at(i / choices)][at(i % choices)] += random.normal(number) * softplus(raw[at(i)]);
  }
  return logits;
}

/// candidates and chosen.
void Model::choose(const Rows& logits, const Rows& scores, const Step& step, std::size_t moe_layer,
                   std::int64_t layer, Routing& routing) const {
  const auto& o = options_.moe;
  const Selection selection = o.router.selection;
  if (selection == Selection::kExpertChoice) {
    routing.chosen = routing.candidates = choose_by_expert(o, scores);
    return;
  }
  const Rows values = selection == Selection::kSinkhorn ? sinkhorn(o, logits)
                      : o.router.softmax_after_topk     ? logits
                                                        : scores;
  for (std::size_t t = 0; t < values.size(); ++t) {
    Values biased = values[t];
    if (selection != Selection::kSinkhorn) add(biased, step.bias[moe_layer]);
    if (selection == Selection::kGroupLimited) biased = in_best_groups(o, biased);
    routing.candidates.push_back(best(biased, o.top_k));
    routing.chosen.push_back(routing.candidates.back());
    if (selection != Selection::kGshardSecond) continue;
    const auto [first, second] = std::pair(routing.candidates.back()[0], routing.candidates.back()[1]);
    if (!keeps_second(step, layer, static_cast<std::int64_t>(t), scores[t][at(first)], scores[t][at(second)]))
      routing.chosen.back().pop_back();
  }
}

/// Slot by slot, every expert takes tokens until it is full.
void Model::admit(const Rows& scores, Routing& routing) const {
  const auto& o = options_.moe;
  const auto tokens = static_cast<double>(routing.chosen.size());
  const bool limited = o.capacity.kind == experts::CapacityKind::kFactor;
  const double places = limited ? std::ceil(static_cast<double>(o.top_k) * tokens /
                                            static_cast<double>(o.experts) * o.capacity.factor)
                                : std::numeric_limits<double>::infinity();
  for (const auto& chosen : routing.chosen) routing.admitted.emplace_back(chosen.size(), true);
  for (int expert = 0; expert < o.experts; ++expert) {
    double taken = 0.0;
    for (std::size_t slot = 0; slot < at(o.choices()); ++slot) {
      std::vector<std::size_t> asking;
      for (std::size_t t = 0; t < routing.chosen.size(); ++t) {
        if (slot < routing.chosen[t].size() && routing.chosen[t][slot] == expert) asking.push_back(t);
      }
      if (o.capacity.drop_policy == experts::DropPolicy::kScore) {
        std::ranges::stable_sort(
            asking, [&](auto a, auto b) { return scores[a][at(expert)] > scores[b][at(expert)]; });
      }
      for (const std::size_t t : asking) routing.admitted[t][slot] = taken++ < places;
    }
  }
}

Routing Model::route(const Parameters& parameters, const std::string& prefix, const Values& x,
                     const Step& step, std::size_t moe_layer, const Routing* fixed) const {
  const auto& o = options_.moe;
  const std::int64_t layer = model::layer_of_moe(options_, static_cast<std::int64_t>(moe_layer));
  const Rows logits = router_logits(parameters, prefix, x, step, layer);
  Rows scores;
  for (const Values& z : logits) scores.push_back(score_of(o.router.score, z));
  Routing routing;
  if (fixed != nullptr) {
    routing.candidates = fixed->candidates;
    routing.chosen = fixed->chosen;
    routing.admitted = fixed->admitted;
  } else {
    choose(logits, scores, step, moe_layer, layer, routing);
    admit(scores, routing);
  }
  for (std::size_t t = 0; t < logits.size(); ++t) {
    routing.weights.push_back(weights_of(o, logits[t], scores[t], routing.candidates[t], routing.chosen[t]));
  }
  Rows clean;
  Rows noise_std;
  if (o.router.selection == Selection::kNoisyTopK) {
    Step frozen = step;
    frozen.training = false;
    clean = router_logits(parameters, prefix, x, frozen, layer);
    const Values raw = linear(x, parameters.at({prefix + "router/noise_weight", -1}), options_.hidden_size);
    for (std::int64_t t = 0; t < std::ssize(logits); ++t) {
      noise_std.push_back(row_of(raw, t, o.choices()));
      for (double& value : noise_std.back()) value = softplus(value);
    }
  }
  add_routing_losses(
      {logits, scores, clean, noise_std, parameters.at({prefix + "router/weight", -1}), step, moe_layer},
      routing);
  return routing;
}

void Model::add_routing_losses(const AuxLossInput& input, Routing& routing) const {
  const auto& o = options_.moe;
  const Rows& logits = input.logits;
  const Rows& scores = input.scores;
  const Step& step = input.step;
  const std::size_t choices = at(o.choices());
  routing.counts.resize(choices);
  routing.unbiased_counts.resize(choices);
  for (std::size_t t = 0; t < logits.size(); ++t) {
    const double lse = log_sum_exp(logits[t]);
    routing.z_loss += lse * lse;
    for (const int expert : routing.chosen[t]) ++routing.counts[at(expert)];
    for (const int expert : best(scores[t], o.top_k)) ++routing.unbiased_counts[at(expert)];
  }
  routing.aux_loss = aux_losses(o, input, routing);
  for (std::size_t a = 0; a < routing.aux_loss.size(); ++a)
    routing.objective += step.aux_coefficients[a] * routing.aux_loss[a];
  routing.objective =
      (routing.objective + o.router.z_loss * routing.z_loss) / static_cast<double>(step.routed_tokens);
}

}  // namespace troupe::reference
