#include "experts/router/router.h"

#include <algorithm>
#include <cmath>

#include "base/index.h"
#include "experts/balancer/balancer.h"
#include "experts/balancer/margins.h"
#include "experts/router/capacity.h"
#include "experts/router/tallies.h"
#include "experts/rows.h"
#include "tensor/ops/device_ops.h"
#include "tensor/transfer.h"

namespace troupe::experts {

namespace {

bool counts_unbiased(const MoeOptions& options) {
  return std::ranges::any_of(options.aux_loss,
                             [](const auto& loss) { return loss.f_source == FrequencySource::kUnbiased; });
}

/// The rule of a device's route op for these options; validation refuses what it has none for.
cuda::RouterRule device_rule(const RouterOptions& options) {
  constexpr float kSmallestSum = 1e-20F;  // as weights.cpp's
  cuda::RouterRule rule{cuda::RouterScore::kSqrtSoftplus, cuda::RouterWeights::kNormalizedScores,
                        static_cast<float>(options.scale), kSmallestSum};
  if (options.score == Score::kSigmoid) rule.score = cuda::RouterScore::kSigmoid;
  if (options.score == Score::kSoftmax) {
    rule.score = cuda::RouterScore::kSoftmax;
    rule.weights = cuda::RouterWeights::kNormalizedSoftmax;
  }
  if (!options.normalize_weights) rule.weights = cuda::RouterWeights::kPlainScores;
  if (options.softmax_after_topk) rule.weights = cuda::RouterWeights::kSoftmaxOfChosen;
  return rule;
}

/// Of what forward allocates for a while.
std::int64_t forward_memory(const MoeOptions& options, const Selector& selector, std::int64_t tokens) {
  std::int64_t most = std::max(selector.memory(tokens), admission_memory(options, tokens));
  if (margin_bins(options.balancer) > 0)
    most = std::max(most, margins_memory(tokens, options.choices(), options.top_k));
  if (!counts_unbiased(options)) return most;
  const auto unbiased = make_top_k_selector(options);
  return std::max(most, tokens * unbiased->slots(tokens) + unbiased->memory(tokens));
}

}  // namespace

void Router::declare(layers::Declaration& declaration, const MoeOptions& options, std::int64_t hidden_size) {
  const std::int64_t tokens = declaration.tokens();
  const auto selector = make_selector(options, declaration.layer());
  const TokenSelector* per_token = selector->per_token();
  const std::int64_t slots = tokens * selector->slots(tokens);
  RouterLogits::declare(declaration, options, hidden_size);
  declaration.keep(tokens * options.choices());  // scores
  declaration.keep(tokens);                      // log Σ exp
  declaration.keep(slots, 2);                    // candidates, weights
  declaration.keep(2 * options.choices(), 2);    // counts, in 64 bits
  if (per_token != nullptr && per_token->thins()) declaration.keep(slots);
  if (admits_less(options)) declaration.keep(slots);

  std::int64_t losses = 0;
  for (const AuxLossOptions& loss : options.aux_loss)
    losses = std::max(losses, make_aux_loss(options, loss)->memory({tokens, options.choices(), hidden_size}));
  declaration.use_in_forward(forward_memory(options, *selector, tokens));
  declaration.use_in_backward(losses);
}

Router::Router(const MoeOptions& options, std::int64_t layer, const ParameterTable& table,
               const std::string& prefix)
    : options_(options),
      logits_(options, layer, table, prefix),
      score_(score_function(options.router.score)),
      selector_(make_selector(options, layer)),
      unbiased_selector_(make_top_k_selector(options)),
      weighting_(make_weighting(options.router)),
      counts_unbiased_(counts_unbiased(options)),
      no_bias_(at(options.choices())) {
  for (const AuxLossOptions& loss : options.aux_loss) aux_losses_.push_back(make_aux_loss(options, loss));
}

RoutingResult Router::forward(const Pass& pass, ConstTensorView x, const StepContext& step,
                              const layout::LayerStatistics& load) const {
  const PhaseScope phase(pass.execution, Phase::kRouter);
  if (ops::DeviceOps* device = ops::device_ops(pass.execution))
    return forward_on_device(pass, *device, x, step, load);
  const std::int64_t tokens = x.rows();
  RoutingResult routing;
  logits_.forward(pass, x, routing);
  routing.scores = pass.arena.allocate({tokens, options_.choices()});
  routing.log_sum_exp = pass.arena.allocate({tokens});
  choose_experts(pass, step, routing);
  record_choices(routing.candidates, routing.chosen, step.tape);
  if (!load.margins.empty())
    count_margins(pass, {selected_on(routing), routing.logits, step.bias}, options_.top_k, load.margins);
  routing.dispatched = admit(pass, options_, routing.chosen, routing.scores, load.dropped);
  count(pass, routing, load);
  return routing;
}

/// The same on a device: routed by one op, whose counts alone come to the host.
RoutingResult Router::forward_on_device(const Pass& pass, ops::DeviceOps& device, ConstTensorView x,
                                        const StepContext& step, const layout::LayerStatistics& load) const {
  const std::int64_t tokens = x.rows();
  const std::int64_t slots = selector_->slots(tokens);
  RoutingResult routing;
  logits_.forward(pass, x, routing);
  routing.scores = pass.arena.allocate({tokens, options_.choices()});
  routing.log_sum_exp = pass.arena.allocate({tokens});
  routing.candidates = routing.chosen = routing.dispatched =
      pass.arena.allocate({tokens, slots}, DType::kI32);
  routing.weights = pass.arena.allocate({tokens, slots});
  routing.counts = pass.arena.allocate_array<std::int64_t>(options_.choices());
  routing.unbiased_counts = pass.arena.allocate_array<std::int64_t>(options_.choices());
  const ArenaScope scope(pass.arena);
  const TensorView bias = pass.arena.allocate({options_.choices()});
  const TensorView counts = pass.arena.allocate({options_.choices()}, DType::kI32);
  transfer(pass.execution.accelerator, step.bias, bias);
  device.route_forward({.rule = device_rule(options_.router),
                        .logits = routing.logits,
                        .bias = bias,
                        .scores = routing.scores,
                        .log_sum_exp = routing.log_sum_exp,
                        .chosen = routing.chosen,
                        .weights = routing.weights,
                        .counts = counts});
  const ConstTensorView& domains = pass.microbatch.domains;
  std::ranges::fill(load.domains, 0);
  if (!load.domains.empty() && domains.data() != nullptr)
    device.start_count_domains(routing.chosen, domains, options_.choices(), load.domains);
  count_on_device(pass, counts, routing, load);
  return routing;
}

void Router::count_on_device(const Pass& pass, ConstTensorView counts, RoutingResult& routing,
                             const layout::LayerStatistics& load) const {
  const auto here = pass.arena.allocate_array<std::int32_t>(options_.choices());
  transfer(pass.execution.accelerator, counts, {here.data(), Shape{options_.choices()}});
  std::ranges::copy(here, routing.counts.begin());
  std::ranges::fill(routing.unbiased_counts, 0);
  std::ranges::copy(routing.counts, load.counts.begin());
  std::ranges::copy(routing.unbiased_counts, load.unbiased.begin());
}

/// In one sweep over the tokens, where a token's choice is its own affair.
void Router::choose_experts(const Pass& pass, const StepContext& step, RoutingResult& routing) const {
  const std::int64_t tokens = routing.logits.rows();
  const std::int64_t slots = selector_->slots(tokens);
  const TokenSelector* per_token = selector_->per_token();
  routing.candidates = pass.arena.allocate({tokens, slots}, DType::kI32);
  routing.chosen = per_token != nullptr && per_token->thins()
                       ? pass.arena.allocate({tokens, slots}, DType::kI32)
                       : routing.candidates;
  routing.weights = pass.arena.allocate({tokens, slots});
  const SelectionInput input{selected_on(routing), routing.logits, step.bias};
  if (!step.tape.replay.empty()) return follow(pass, step.tape, routing);
  const ArenaScope scope(pass.arena);
  if (per_token != nullptr) {
    const TensorView scratch = pass.arena.allocate({token_blocks(tokens), per_token->scratch_size()});
    for_tokens(pass.execution, tokens, [&](std::int64_t token, std::int64_t block) {
      score_token(routing, token);
      per_token->select_token(row(input.values, token), input.bias, row(scratch, block),
                              ids(routing.candidates, token));
      weigh_token(routing, token);
      if (per_token->thins()) thin_token(pass, *per_token, routing, token);
    });
    return;
  }
  for_tokens(pass.execution, tokens, [&](std::int64_t token, std::int64_t) { score_token(routing, token); });
  selector_->select(pass, input, routing.candidates);
  for_tokens(pass.execution, tokens, [&](std::int64_t token, std::int64_t) { weigh_token(routing, token); });
}

/// A recorded choice, with weights from the current scores.
void Router::follow(const Pass& pass, const RoutingTape& tape, const RoutingResult& routing) const {
  replay_choices(tape, routing.candidates, routing.chosen);
  for_tokens(pass.execution, routing.logits.rows(), [&](std::int64_t token, std::int64_t) {
    score_token(routing, token);
    weigh_token(routing, token);
    const auto chosen = ids(routing.chosen, token);
    const auto weights = row(routing.weights, token);
    for (std::size_t j = 0; j < chosen.size(); ++j) {
      if (chosen[j] < 0) weights[j] = 0.0F;
    }
  });
}

void Router::score_token(const RoutingResult& routing, std::int64_t token) const {
  const auto z = row(routing.logits, token);
  const float lse = log_sum_exp(z);
  routing.log_sum_exp.f32()[token] = lse;
  score_.forward(z, lse, row(routing.scores, token));
}

void Router::weigh_token(const RoutingResult& routing, std::int64_t token) const {
  weighting_->weigh(row(routing.logits, token), row(routing.scores, token), ids(routing.candidates, token),
                    row(routing.weights, token));
}

void Router::thin_token(const Pass& pass, const TokenSelector& selector, const RoutingResult& routing,
                        std::int64_t token) {
  const auto chosen = ids(routing.chosen, token);
  const auto weights = row(routing.weights, token);
  std::ranges::copy(ids(routing.candidates, token), chosen.begin());
  selector.thin(pass, token, row(routing.scores, token), chosen);
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    if (chosen[j] < 0) weights[j] = 0.0F;
  }
}

void Router::count(const Pass& pass, RoutingResult& routing, const layout::LayerStatistics& load) const {
  routing.counts = pass.arena.allocate_array<std::int64_t>(options_.choices());
  routing.unbiased_counts = pass.arena.allocate_array<std::int64_t>(options_.choices());
  std::ranges::fill(routing.counts, 0);
  std::ranges::fill(routing.unbiased_counts, 0);
  const std::int32_t* chosen = routing.chosen.i32();
  for (std::int64_t i = 0; i < routing.chosen.elements(); ++i) {
    if (chosen[i] >= 0) ++routing.counts[at(chosen[i])];
  }
  if (counts_unbiased_) count_unbiased(pass, routing, routing.unbiased_counts);
  std::ranges::copy(routing.counts, load.counts.begin());
  std::ranges::copy(routing.unbiased_counts, load.unbiased.begin());
  tally(routing.chosen, pass.microbatch.domains, load);
}

void Router::count_unbiased(const Pass& pass, const RoutingResult& routing,
                            std::span<std::int64_t> counts) const {
  const ArenaScope scope(pass.arena);
  const std::int64_t tokens = routing.logits.rows();
  const TensorView chosen = pass.arena.allocate({tokens, unbiased_selector_->slots(tokens)}, DType::kI32);
  // What plain top-k of the scores would take: no bias, no noise, no groups.
  unbiased_selector_->select(pass, {selected_on(routing), routing.logits, no_bias_}, chosen);
  for (std::int64_t i = 0; i < chosen.elements(); ++i) ++counts[at(chosen.i32()[i])];
}

void Router::backward(const Pass& pass, ConstTensorView x, const StepContext& step,
                      const RoutingResult& routing, const RouterSums& sums, TensorView dweights,
                      TensorView dx) const {
  const PhaseScope phase(pass.execution, Phase::kRouter);
  const ArenaScope scope(pass.arena);
  const AuxGradients gradients = logits_.make_gradients(pass, routing, dweights);
  const AuxInput input{routing, step, logits_.weight(pass)};
  for (std::size_t a = 0; a < aux_losses_.size(); ++a) {
    const double factor = step.aux_coefficients[a] / static_cast<double>(step.routed_tokens);
    aux_losses_[a]->backward(pass, input, factor, gradients, sums.aux_loss[a]);
  }
  if (ops::DeviceOps* device = ops::device_ops(pass.execution)) {
    device->start_sum_of_squares(routing.log_sum_exp, *sums.z_loss);
    device->route_backward({.rule = device_rule(options_.router),
                            .logits = routing.logits,
                            .scores = routing.scores,
                            .log_sum_exp = routing.log_sum_exp,
                            .chosen = routing.chosen,
                            .weights = routing.weights,
                            .dweights = gradients.dweights,
                            .dscores = gradients.dscores,
                            .z_factor = z_factor(step),
                            .dlogits = gradients.dlogits});
  } else {
    *sums.z_loss = 0.0;
    for (const float value : routing.log_sum_exp.floats()) *sums.z_loss += static_cast<double>(value) * value;
    add_token_gradients(pass, step, routing, gradients);
  }
  logits_.backward(pass, x, routing, gradients, dx);
}

/// Weights → scores → logits, and the z-loss.
void Router::add_token_gradients(const Pass& pass, const StepContext& step, const RoutingResult& routing,
                                 const AuxGradients& gradients) const {
  const float factor = z_factor(step);
  for_tokens(pass.execution, routing.logits.rows(), [&](std::int64_t token, std::int64_t) {
    const auto z = row(routing.logits, token);
    const auto s = row(routing.scores, token);
    const auto ds = row(gradients.dscores, token);
    const auto dz = row(gradients.dlogits, token);
    weighting_->add_gradient(s, {ids(routing.candidates, token), ids(routing.chosen, token)},
                             row(routing.weights, token), row(gradients.dweights, token), ds, dz);
    score_.add_gradient(s, ds, dz);
    if (options_.router.z_loss == 0.0) return;
    const float lse = routing.log_sum_exp.f32()[token];
    for (std::size_t i = 0; i < z.size(); ++i) dz[i] += factor * lse * std::exp(z[i] - lse);
  });
}

}  // namespace troupe::experts
