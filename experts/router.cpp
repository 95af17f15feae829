#include "experts/router.h"

#include <algorithm>
#include <cmath>

#include "experts/aux_loss.h"
#include "experts/top_k.h"
#include "tensor/ops/gemm/gemm.h"
#include "tensor/parallel.h"

namespace troupe::experts {
namespace {

constexpr std::int64_t kTokenBlock = 64;
constexpr float kSigmoidEpsilon = 1e-20F;  // of normalised sigmoid weights (arXiv 2412.19437's code)

/// Calls body(token, block) for all tokens, blocks split over threads.
template <class Body>
void for_tokens(const Execution& execution, std::int64_t tokens, const Body& body) {
  parallel_for(execution, (tokens + kTokenBlock - 1) / kTokenBlock, [&](std::int64_t block) {
    const std::int64_t end = std::min(tokens, (block + 1) * kTokenBlock);
    for (std::int64_t token = block * kTokenBlock; token < end; ++token) body(token, block);
  });
}

TensorView allocate_for_blocks(Arena& arena, std::int64_t tokens, std::int64_t size) {
  return arena.allocate({(tokens + kTokenBlock - 1) / kTokenBlock, size});
}

std::span<float> row(TensorView matrix, std::int64_t index) { return matrix.rows(index, 1).floats(); }
std::span<const float> row(ConstTensorView matrix, std::int64_t index) {
  return matrix.rows(index, 1).floats();
}
std::span<std::int32_t> ids(TensorView chosen, std::int64_t token) {
  return {chosen.i32() + token * chosen.columns(), static_cast<std::size_t>(chosen.columns())};
}

float log_sum_exp(std::span<const float> z) {
  const float largest = *std::ranges::max_element(z);
  float sum = 0.0F;
  for (const float value : z) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

float sum_of(std::span<const float> values) {
  float sum = 0.0F;
  for (const float value : values) sum += value;
  return sum;
}

/// dz += ds · d(score)/dz
void add_score_gradient(Score score, std::span<const float> s, std::span<const float> ds,
                        std::span<float> dz) {
  if (score == Score::kSigmoid) {
    for (std::size_t i = 0; i < s.size(); ++i) dz[i] += ds[i] * (s[i] * (1.0F - s[i]));
    return;
  }
  float dot = 0.0F;
  for (std::size_t i = 0; i < s.size(); ++i) dot += ds[i] * s[i];
  for (std::size_t i = 0; i < s.size(); ++i) dz[i] += s[i] * (ds[i] - dot);
}

/// ds += d(Σ_i direction_i p_i)/ds with p = s / Σs
void add_probability_gradient(std::span<const float> s, std::span<const float> direction,
                              std::span<float> ds) {
  const float sum = sum_of(s);
  float dot = 0.0F;
  for (std::size_t i = 0; i < s.size(); ++i) dot += direction[i] * (s[i] / sum);
  for (std::size_t i = 0; i < s.size(); ++i) ds[i] += (direction[i] - dot) / sum;
}

/// dz of the chosen, for weights w = scale · softmax(z of the chosen): w_j (dw_j - Σ dw w / scale)
void set_softmax_gradient(std::span<const std::int32_t> chosen, float scale, std::span<const float> weights,
                          std::span<const float> dweights, std::span<float> dz) {
  float dot = 0.0F;
  for (std::size_t j = 0; j < chosen.size(); ++j) dot += dweights[j] * (weights[j] / scale);
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    dz[static_cast<std::size_t>(chosen[j])] = weights[j] * (dweights[j] - dot);
  }
}

}  // namespace

Router::Router(const MoeOptions& options, const ParameterTable& table, const std::string& prefix)
    : options_(options),
      weight_(table, prefix + "router/weight"),
      probability_sums_(static_cast<std::size_t>(options.experts)),
      frequencies_(static_cast<std::size_t>(options.experts)) {}

RoutingResult Router::forward(const Pass& pass, ConstTensorView x, const RouterStep& step,
                              const RouterSums& sums) {
  const std::int64_t tokens = x.rows();
  RoutingResult routing;
  routing.logits = pass.arena.allocate({tokens, options_.experts});
  routing.scores = pass.arena.allocate({tokens, options_.experts});
  routing.log_sum_exp = pass.arena.allocate({tokens});
  routing.chosen = pass.arena.allocate({tokens, options_.top_k}, DType::kI32);
  routing.weights = pass.arena.allocate({tokens, options_.top_k});
  routing.aux_direction = pass.arena.allocate({options_.experts});
  ops::gemm(pass.execution, ops::Transpose::kNo, ops::Transpose::kYes, x, weight_.value(pass.dense),
            routing.logits);
  score_tokens(pass, routing);
  choose_experts(pass, step, routing);

  std::ranges::fill(sums.counts, 0);
  const std::int32_t* chosen = routing.chosen.i32();
  for (std::int64_t i = 0; i < tokens * options_.top_k; ++i)
    ++sums.counts[static_cast<std::size_t>(chosen[i])];
  count_unbiased(pass, routing, sums.unbiased_counts);
  *sums.z_loss = 0.0;
  for (const float value : routing.log_sum_exp.floats()) *sums.z_loss += static_cast<double>(value) * value;
  auxiliary_losses(step, sums, routing);
  return routing;
}

void Router::score_tokens(const Pass& pass, const RoutingResult& routing) const {
  for_tokens(pass.execution, routing.logits.rows(), [&](std::int64_t token, std::int64_t) {
    const auto z = row(routing.logits, token);
    const auto s = row(routing.scores, token);
    const float lse = log_sum_exp(z);
    routing.log_sum_exp.f32()[token] = lse;
    for (std::size_t i = 0; i < z.size(); ++i) {
      s[i] =
          options_.router.score == Score::kSigmoid ? 1.0F / (1.0F + std::exp(-z[i])) : std::exp(z[i] - lse);
    }
  });
}

void Router::choose_experts(const Pass& pass, const RouterStep& step, const RoutingResult& routing) const {
  const std::int64_t tokens = routing.logits.rows();
  const ConstTensorView selected_on = options_.router.softmax_after_topk ? routing.logits : routing.scores;
  const ArenaScope scope(pass.arena);
  const TensorView biased = allocate_for_blocks(pass.arena, tokens, options_.experts);
  const TensorView scratch = allocate_for_blocks(pass.arena, tokens, options_.top_k);
  for_tokens(pass.execution, tokens, [&](std::int64_t token, std::int64_t block) {
    const auto values = row(selected_on, token);
    const auto shifted = row(biased, block);
    for (std::size_t i = 0; i < values.size(); ++i) shifted[i] = values[i] + step.bias[i];
    const auto chosen = ids(routing.chosen, token);
    top_k(shifted, chosen, row(scratch, block));
    weigh(row(routing.logits, token), row(routing.scores, token), chosen, row(routing.weights, token));
  });
}

void Router::weigh(std::span<const float> logits, std::span<const float> scores,
                   std::span<const std::int32_t> chosen, std::span<float> weights) const {
  const auto scale = static_cast<float>(options_.router.scale);
  const auto& values = options_.router.softmax_after_topk ? logits : scores;
  for (std::size_t j = 0; j < chosen.size(); ++j) weights[j] = values[static_cast<std::size_t>(chosen[j])];
  if (options_.router.softmax_after_topk) {
    const float lse = log_sum_exp(weights);
    for (float& weight : weights) weight = std::exp(weight - lse);
  } else if (options_.router.normalize_weights) {
    const float sum = sum_of(weights) + (options_.router.score == Score::kSigmoid ? kSigmoidEpsilon : 0.0F);
    for (float& weight : weights) weight /= sum;
  }
  for (float& weight : weights) weight *= scale;
}

void Router::count_unbiased(const Pass& pass, const RoutingResult& routing,
                            std::span<std::int64_t> counts) const {
  std::ranges::fill(counts, 0);
  if (std::ranges::none_of(options_.aux_loss,
                           [](const auto& loss) { return loss.f_source == FrequencySource::kUnbiased; })) {
    return;
  }
  const ConstTensorView values = options_.router.softmax_after_topk ? routing.logits : routing.scores;
  const ArenaScope scope(pass.arena);
  const TensorView chosen = pass.arena.allocate({1, options_.top_k}, DType::kI32);
  const TensorView scratch = pass.arena.allocate({options_.top_k});
  for (std::int64_t token = 0; token < values.rows(); ++token) {
    top_k(row(values, token), ids(chosen, 0), scratch.floats());
    for (const std::int32_t expert : ids(chosen, 0)) ++counts[static_cast<std::size_t>(expert)];
  }
}

void Router::auxiliary_losses(const RouterStep& step, const RouterSums& sums, const RoutingResult& routing) {
  const auto direction = routing.aux_direction.floats();
  std::ranges::fill(direction, 0.0F);
  if (options_.aux_loss.empty()) return;
  const auto experts = static_cast<std::size_t>(options_.experts);
  std::ranges::fill(probability_sums_, 0.0);
  for (std::int64_t token = 0; token < routing.scores.rows(); ++token) {
    const auto s = row(routing.scores, token);
    const float sum = sum_of(s);
    for (std::size_t i = 0; i < experts; ++i) probability_sums_[i] += s[i] / sum;
  }
  for (std::size_t a = 0; a < options_.aux_loss.size(); ++a) {
    const bool actual = options_.aux_loss[a].f_source == FrequencySource::kActual;
    const std::span<const std::int64_t> previous =
        actual ? step.previous_counts : step.previous_unbiased_counts;
    const std::span<const std::int64_t> current = actual ? sums.counts : sums.unbiased_counts;
    load_frequencies(options_.aux_loss[a].scope == AuxScope::kMicro ? current : previous, frequencies_);
    sums.aux_loss[a] = load_balance_loss(frequencies_, probability_sums_);
    if (step.routed_tokens == 0) continue;  // evaluation: no gradient follows
    const double factor =
        step.aux_coefficients[a] * static_cast<double>(experts) / static_cast<double>(step.routed_tokens);
    for (std::size_t i = 0; i < experts; ++i) direction[i] += static_cast<float>(factor * frequencies_[i]);
  }
}

void Router::backward(const Pass& pass, ConstTensorView x, const RouterStep& step,
                      const RoutingResult& routing, ConstTensorView dweights, TensorView dx) const {
  const ArenaScope scope(pass.arena);
  const TensorView dlogits = pass.arena.allocate(routing.logits.shape());
  const TensorView dscores = allocate_for_blocks(pass.arena, x.rows(), options_.experts);
  for_tokens(pass.execution, x.rows(), [&](std::int64_t token, std::int64_t block) {
    logit_gradient(step, routing, token, row(dweights, token), row(dscores, block), row(dlogits, token));
  });
  ops::gemm(pass.execution, ops::Transpose::kYes, ops::Transpose::kNo, dlogits, x,
            weight_.gradient(pass.dense_gradient));
  ops::gemm(pass.execution, ops::Transpose::kNo, ops::Transpose::kNo, dlogits, weight_.value(pass.dense), dx,
            ops::Accumulate::kYes);
}

void Router::logit_gradient(const RouterStep& step, const RoutingResult& routing, std::int64_t token,
                            std::span<const float> dweights, std::span<float> dscores,
                            std::span<float> dlogits) const {
  const auto z = row(routing.logits, token);
  const auto s = row(routing.scores, token);
  const auto chosen = ids(routing.chosen, token);
  std::ranges::fill(dscores, 0.0F);
  std::ranges::fill(dlogits, 0.0F);
  if (options_.router.softmax_after_topk) {
    set_softmax_gradient(chosen, static_cast<float>(options_.router.scale), row(routing.weights, token),
                         dweights, dlogits);
  } else {
    score_gradient(s, chosen, dweights, dscores);
  }
  if (!options_.aux_loss.empty()) add_probability_gradient(s, routing.aux_direction.floats(), dscores);
  add_score_gradient(options_.router.score, s, dscores, dlogits);
  if (options_.router.z_loss == 0.0) return;
  const float lse = routing.log_sum_exp.f32()[token];
  const auto factor =
      static_cast<float>(2.0 * options_.router.z_loss / static_cast<double>(step.routed_tokens)) * lse;
  for (std::size_t i = 0; i < z.size(); ++i) dlogits[i] += factor * std::exp(z[i] - lse);
}

/// Weights w_j = scale · s_j / (Σ s + ε), or scale · s_j.
void Router::score_gradient(std::span<const float> scores, std::span<const std::int32_t> chosen,
                            std::span<const float> dweights, std::span<float> dscores) const {
  const auto scale = static_cast<float>(options_.router.scale);
  float sum = 1.0F;
  float dot = 0.0F;
  if (options_.router.normalize_weights) {
    sum = options_.router.score == Score::kSigmoid ? kSigmoidEpsilon : 0.0F;
    for (const std::int32_t expert : chosen) sum += scores[static_cast<std::size_t>(expert)];
    for (std::size_t j = 0; j < chosen.size(); ++j)
      dot += dweights[j] * scores[static_cast<std::size_t>(chosen[j])];
    dot /= sum;
  }
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    dscores[static_cast<std::size_t>(chosen[j])] = scale / sum * (dweights[j] - dot);
  }
}

}  // namespace troupe::experts
