// Values and gradients of every auxiliary loss against plain fp64 formulas.
#include "experts/aux_loss/aux_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "tests/reference/fixtures.h"

namespace troupe::experts {
namespace {

using reference::Values;
constexpr std::int64_t kTokens = 12;
constexpr std::int64_t kLength = 4;
constexpr std::int64_t kChoices = 5;
constexpr std::int64_t kHidden = 7;
constexpr std::int64_t kSlots = 2;
constexpr double kFactor = 0.3;
using Counts = std::vector<std::int64_t>;

/// One microbatch's routing with numbers of its own for every tensor, all pairs dropped: losses go by what
/// was chosen; slots are the best by score, and the
/// second of every third token is empty.
struct Microbatch {
  Microbatch() {
    for (float& s : scores) s = 1.0F / (1.0F + std::exp(-s));
    for (float& d : noise_std) d = 0.5F + std::abs(d);
    for (float& w : weights) w = 0.1F + std::abs(w);
    for (std::size_t t = 0; t < kTokens; ++t) {
      chosen.push_back(static_cast<std::int32_t>((t * t + 1) % kChoices));
      chosen.push_back(t % 3 == 0 ? -1 : static_cast<std::int32_t>((t * t + 3) % kChoices));
      if (t % 3 == 0) weights[2 * t + 1] = 0.0F;
    }
    for (const std::int32_t choice : chosen) {
      if (choice >= 0) ++counts[static_cast<std::size_t>(choice)];
    }
  }
  [[nodiscard]] RoutingResult routing(std::int64_t tokens) {
    RoutingResult result;
    result.logits = {logits.data(), {tokens, kChoices}};
    result.scores = {scores.data(), {tokens, kChoices}};
    result.clean_logits = {clean.data(), {tokens, kChoices}};
    result.noise_std = {noise_std.data(), {tokens, kChoices}};
    result.chosen = {chosen.data(), {tokens, kSlots}};
    result.dispatched = {dispatched.data(), {tokens, kSlots}};
    result.weights = {weights.data(), {tokens, kSlots}};
    result.counts = counts;
    result.unbiased_counts = unbiased;
    return result;
  }

  std::vector<float> logits = reference::random_values(1, kTokens* kChoices);
  std::vector<float> scores = reference::random_values(2, kTokens* kChoices);
  std::vector<float> clean = reference::random_values(3, kTokens* kChoices);
  std::vector<float> noise_std = reference::random_values(4, kTokens* kChoices);
  std::vector<float> weights = reference::random_values(5, kTokens* kSlots);
  std::vector<float> router = reference::random_values(6, kChoices* kHidden);
  std::vector<std::int32_t> chosen;
  std::vector<std::int32_t> dispatched = std::vector<std::int32_t>(kTokens * kSlots, -1);  // all dropped
  Counts counts = Counts(kChoices);
  Counts unbiased{9, 1, 4, 6, 4};
  Counts global{14, 2, 6, 9, 40};
  Counts global_unbiased{3, 5, 70, 6, 4};
  Counts previous{3, 8, 1, 0, 4};
  Counts previous_unbiased{1, 1, 7, 2, 5};
  Counts running{100, 3, 20, 7, 50};
  Counts running_unbiased{11, 30, 2, 70, 5};
};

struct Gradients {
  std::vector<float> weights = std::vector<float>(kTokens * kSlots);
  std::vector<float> scores = std::vector<float>(kTokens * kChoices);
  std::vector<float> logits = std::vector<float>(kTokens * kChoices);
  std::vector<float> router = std::vector<float>(kChoices * kHidden);
  std::vector<float> clean = std::vector<float>(kTokens * kChoices);
  std::vector<float> noise_std = std::vector<float>(kTokens * kChoices);
};

struct Outcome {
  double value = 0.0;
  Gradients gradients;
};

Outcome compute(const AuxLossOptions& options, Microbatch& m, int threads = 1,
                std::int64_t tokens = kTokens) {
  Arena arena(1 << 22);
  const Pass pass{
      .execution = {threads}, .arena = arena, .microbatch = {.sequence_length = kLength}, .training = true};
  const StepContext step{
      .counts = {.previous = m.previous, .running = m.running, .global = m.global},
      .unbiased_counts = {
          .previous = m.previous_unbiased, .running = m.running_unbiased, .global = m.global_unbiased}};
  MoeOptions moe;
  moe.experts = kChoices;
  moe.top_k = kSlots;
  const RoutingResult routing = m.routing(tokens);
  const AuxInput input{routing, step, {m.router.data(), {kChoices, kHidden}}};
  const auto loss = make_aux_loss(moe, options);
  Outcome outcome;
  Gradients& g = outcome.gradients;
  loss->backward(pass, input, kFactor,
                 {.dweights = {g.weights.data(), {tokens, kSlots}},
                  .dscores = {g.scores.data(), {tokens, kChoices}},
                  .dlogits = {g.logits.data(), {tokens, kChoices}},
                  .dweight = {g.router.data(), {kChoices, kHidden}},
                  .dclean_logits = {g.clean.data(), {tokens, kChoices}},
                  .dnoise_std = {g.noise_std.data(), {tokens, kChoices}}},
                 outcome.value);
  return outcome;
}

/// The same numbers in fp64.
struct Plain {
  explicit Plain(const Microbatch& m)
      : logits(m.logits.begin(), m.logits.end()),
        scores(m.scores.begin(), m.scores.end()),
        clean(m.clean.begin(), m.clean.end()),
        noise_std(m.noise_std.begin(), m.noise_std.end()),
        weights(m.weights.begin(), m.weights.end()),
        router(m.router.begin(), m.router.end()) {}
  Values logits, scores, clean, noise_std, weights, router;
};

double squared_variation(const Values& v) {
  double sum = 0.0;
  double squares = 0.0;
  for (const double x : v) sum += x;
  const double mean = sum / static_cast<double>(v.size());
  for (const double x : v) squares += (x - mean) * (x - mean);
  return squares / static_cast<double>(v.size()) / (mean * mean);
}

/// frequencies: f of a token
double load_balance(const Plain& p, const std::function<Values(std::int64_t)>& frequencies) {
  double loss = 0.0;
  for (std::int64_t t = 0; t < kTokens; ++t) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < kChoices; ++i) sum += p.scores[t * kChoices + i];
    const Values f = frequencies(t);
    for (std::int64_t i = 0; i < kChoices; ++i) loss += kChoices * f[i] * p.scores[t * kChoices + i] / sum;
  }
  return loss;
}

Values shares(const Counts& counts) {
  double sum = 0.0;
  for (const auto count : counts) sum += static_cast<double>(count);
  Values f;
  for (const auto count : counts) f.push_back(static_cast<double>(count) / sum);
  return f;
}

/// Counts of the token's sequence, by `chosen` or by the two best scores.
Counts counts_of_sequence(const Microbatch& m, std::int64_t token, bool actual) {
  Counts counts(kChoices);
  for (std::int64_t t = token / kLength * kLength; t < (token / kLength + 1) * kLength; ++t) {
    std::vector<std::pair<float, int>> order;
    for (int i = 0; i < kChoices; ++i) order.emplace_back(-m.scores[t * kChoices + i], i);
    std::ranges::sort(order);
    for (std::size_t j = 0; j < kSlots; ++j) {
      const int choice = actual ? m.chosen[t * kSlots + j] : order[j].second;
      if (choice >= 0) ++counts[choice];
    }
  }
  return counts;
}

double reference_load_balance(const AuxLossOptions& options, const Microbatch& m, const Plain& p) {
  const bool actual = options.f_source == FrequencySource::kActual;
  const Counts& own = actual ? m.counts : m.unbiased;
  return load_balance(p, [&](std::int64_t token) {
    switch (options.scope) {
      case AuxScope::kMicro:
        return shares(own);
      case AuxScope::kSequence:
        return shares(counts_of_sequence(m, token, actual));
      case AuxScope::kGlobal:
        return shares(actual ? m.global : m.global_unbiased);
      case AuxScope::kRunning:
        return shares(actual ? m.running : m.running_unbiased);
      default:
        return shares(actual ? m.previous : m.previous_unbiased);
    }
  });
}

double reference_importance(const Microbatch& m, const Plain& p) {
  Values importance(kChoices);
  for (std::size_t i = 0; i < p.weights.size(); ++i) {
    if (m.chosen[i] >= 0) importance[m.chosen[i]] += p.weights[i];
  }
  return kTokens * squared_variation(importance);
}

double reference_load(const Plain& p) {
  Values load(kChoices);
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t i = 0; i < kChoices; ++i) {
      Values others;
      for (std::int64_t j = 0; j < kChoices; ++j) {
        if (j != i) others.push_back(p.logits[t * kChoices + j]);
      }
      std::ranges::sort(others, std::greater());
      const double u = (p.clean[t * kChoices + i] - others[kSlots - 1]) / p.noise_std[t * kChoices + i];
      load[i] += 0.5 * (1.0 + std::erf(u / std::numbers::sqrt2));
    }
  }
  return kTokens * squared_variation(load);
}

double reference_orthogonal(const Plain& p) {
  const auto dot = [&](std::int64_t a, std::int64_t b) {
    double sum = 0.0;
    for (std::int64_t h = 0; h < kHidden; ++h) sum += p.router[a * kHidden + h] * p.router[b * kHidden + h];
    return sum;
  };
  double sum = 0.0;
  for (std::int64_t a = 0; a < kChoices; ++a) {
    for (std::int64_t b = 0; b < kChoices; ++b) {
      const double cosine = dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
      sum += std::pow(cosine - (a == b ? 1.0 : 0.0), 2);
    }
  }
  return kTokens * sum / (kChoices * kChoices);
}

double reference_loss(const AuxLossOptions& options, const Microbatch& m, const Plain& p) {
  switch (options.kind) {
    case AuxLossKind::kLoadBalance:
      return reference_load_balance(options, m, p);
    case AuxLossKind::kImportance:
      return reference_importance(m, p);
    case AuxLossKind::kLoad:
      return reference_load(p);
    default:
      return reference_orthogonal(p);
  }
}

struct Case {
  const char* name;
  AuxLossOptions options;
};

class AuxLossGradient : public testing::TestWithParam<Case> {};

TEST_P(AuxLossGradient, EqualsCentralDifferencesOfThePlainFormulaWithFConstant) {
  Microbatch m;
  const AuxLossOptions& options = GetParam().options;
  const Outcome outcome = compute(options, m);
  Plain plain(m);
  const auto objective = [&] { return kFactor * reference_loss(options, m, plain); };
  EXPECT_NEAR(kFactor * outcome.value, objective(), 1e-5);
  const Gradients& g = outcome.gradients;
  EXPECT_LT(reference::gradient_error(g.weights, plain.weights, objective), 1e-5);
  EXPECT_LT(reference::gradient_error(g.scores, plain.scores, objective, 100), 1e-5);
  EXPECT_LT(reference::gradient_error(g.logits, plain.logits, objective, 100), 1e-5);
  EXPECT_LT(reference::gradient_error(g.router, plain.router, objective), 1e-5);
  EXPECT_LT(reference::gradient_error(g.clean, plain.clean, objective, 100), 1e-5);
  EXPECT_LT(reference::gradient_error(g.noise_std, plain.noise_std, objective, 100), 1e-5);
}

TEST_P(AuxLossGradient, HasTheSameBitsForEveryNumberOfThreads) {
  Microbatch m;
  const Outcome one = compute(GetParam().options, m);
  const Outcome three = compute(GetParam().options, m, 3);
  EXPECT_EQ(one.value, three.value);
  EXPECT_EQ(one.gradients.scores, three.gradients.scores);
  EXPECT_EQ(one.gradients.weights, three.gradients.weights);
  EXPECT_EQ(one.gradients.router, three.gradients.router);
  EXPECT_EQ(one.gradients.logits, three.gradients.logits);
}

AuxLossOptions load_balance_options(AuxScope scope, FrequencySource source = FrequencySource::kActual) {
  return {.scope = scope, .f_source = source};
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, AuxLossGradient,
    testing::Values(
        Case{"micro", load_balance_options(AuxScope::kMicro)},
        Case{"micro_unbiased", load_balance_options(AuxScope::kMicro, FrequencySource::kUnbiased)},
        Case{"sequence", load_balance_options(AuxScope::kSequence)},
        Case{"sequence_unbiased", load_balance_options(AuxScope::kSequence, FrequencySource::kUnbiased)},
        Case{"global", load_balance_options(AuxScope::kGlobal)},
        Case{"global_unbiased", load_balance_options(AuxScope::kGlobal, FrequencySource::kUnbiased)},
        Case{"running", load_balance_options(AuxScope::kRunning)},
        Case{"running_unbiased", load_balance_options(AuxScope::kRunning, FrequencySource::kUnbiased)},
        Case{"previous", load_balance_options(AuxScope::kPrevious)},
        Case{"previous_unbiased", load_balance_options(AuxScope::kPrevious, FrequencySource::kUnbiased)},
        Case{"importance", {.kind = AuxLossKind::kImportance}}, Case{"load", {.kind = AuxLossKind::kLoad}},
        Case{"orthogonal", {.kind = AuxLossKind::kOrthogonal}}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(LoadBalanceLoss, IsUniformBeforeTheFirstGlobalBatch) {
  Microbatch m;
  m.previous = Counts(kChoices);
  EXPECT_NEAR(compute(load_balance_options(AuxScope::kPrevious), m).value, kTokens, 1e-5);
}

TEST(LoadBalanceLoss, IsTheSameForTheSameCountsOfEveryScope) {
  Microbatch m;
  m.global = m.running = m.previous = m.counts;
  const double micro = compute(load_balance_options(AuxScope::kMicro), m).value;
  for (const AuxScope scope : {AuxScope::kGlobal, AuxScope::kRunning, AuxScope::kPrevious})
    EXPECT_EQ(compute(load_balance_options(scope), m).value, micro);
}

TEST(AuxLosses, OfAMicrobatchWithoutTokensAreZero) {
  for (const AuxLossKind kind :
       {AuxLossKind::kLoadBalance, AuxLossKind::kImportance, AuxLossKind::kLoad, AuxLossKind::kOrthogonal}) {
    for (const AuxScope scope : {AuxScope::kMicro, AuxScope::kSequence, AuxScope::kGlobal, AuxScope::kRunning,
                                 AuxScope::kPrevious}) {
      Microbatch m;
      const Outcome outcome = compute({.kind = kind, .scope = scope}, m, 1, 0);
      EXPECT_EQ(outcome.value, 0.0);
      EXPECT_EQ(outcome.gradients.router, Gradients().router);
    }
  }
}

}  // namespace
}  // namespace troupe::experts
