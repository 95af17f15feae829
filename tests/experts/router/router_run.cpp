#include "tests/experts/router/router_run.h"

#include <limits>

#include "experts/router/router.h"
#include "experts/rows.h"

namespace troupe::experts {
namespace {

std::vector<float> copy(ConstTensorView view) {
  if (view.shape().rank() == 0) return {};
  return {view.floats().begin(), view.floats().end()};
}

void read_choice(const RoutingResult& routing, RouterRun& run) {
  for (std::int64_t token = 0; token < routing.chosen.rows(); ++token) {
    auto& chosen = run.chosen.emplace_back();
    auto& weights = run.weights.emplace_back();
    for (std::size_t slot = 0; slot < ids(routing.chosen, token).size(); ++slot) {
      const float weight = row(routing.weights, token)[slot];
      if (ids(routing.chosen, token)[slot] >= 0) {
        chosen.push_back(ids(routing.chosen, token)[slot]);
        weights.push_back(weight);
      } else if (weight != 0.0F) {
        weights.push_back(weight);  // an empty slot weighs 0: tests find one too many
      }
    }
  }
}

TensorView slot_gradients(Arena& arena, const RoutingResult& routing, const std::vector<float>& of_pairs) {
  const TensorView dweights = arena.allocate(routing.weights.shape());
  const auto choices = static_cast<std::size_t>(routing.logits.columns());
  for (std::int64_t i = 0; i < dweights.elements(); ++i) {
    const std::int32_t choice = routing.chosen.i32()[i];
    const auto token = static_cast<std::size_t>(i / dweights.columns());
    dweights.f32()[i] = choice >= 0 ? of_pairs[token * choices + static_cast<std::size_t>(choice)]
                                    : std::numeric_limits<float>::quiet_NaN();
  }
  return dweights;
}

}  // namespace

model::ModelOptions options_of(Selection selection, Score score) {
  model::ModelOptions options = reference::tiny_options();
  options.moe.router.selection = selection;
  options.moe.router.score = score;
  options.moe.router.softmax_after_topk = selection == Selection::kNoisyTopK;
  options.moe.router.z_loss = 0.05;
  if (selection == Selection::kGroupLimited) {
    options.moe.experts = 6;
    options.moe.router.groups = 3;
    options.moe.router.top_groups = 2;
  }
  return options;
}

std::vector<float> pair_weights(const model::ModelOptions& options, std::int64_t tokens) {
  return reference::random_values(77, static_cast<std::size_t>(tokens * options.moe.choices()));
}

RouterRun run_router(const RouterCase& router_case, const reference::Weights& weights,
                     const std::vector<float>& x) {
  const MoeOptions& moe = router_case.options.moe;
  const auto choices = static_cast<std::size_t>(moe.choices());
  const reference::FlatStep flat(router_case.options, router_case.step);
  const StepContext step = flat.context().layer(0, std::ssize(router_case.step.bias));
  RouterRun run;
  run.dense_gradient.resize(weights.dense_values.size());
  Arena arena(1 << 24);
  const Pass pass{.execution = {router_case.threads},
                  .arena = arena,
                  .dense = weights.dense_values,
                  .dense_gradient = run.dense_gradient,
                  .microbatch = {.first_token = router_case.step.first_token},
                  .seed = router_case.step.seed,
                  .training = router_case.step.training};
  layout::LoadStatistics load(
      {.layers = 1, .choices = static_cast<int>(choices), .experts = static_cast<int>(moe.experts)});
  std::vector<double> aux(moe.aux_loss.size());
  double z_loss = 0.0;
  const std::int64_t hidden = router_case.options.hidden_size;
  const ConstTensorView input(x.data(), Shape{std::ssize(x) / hidden, hidden});
  Router router(moe, 1, weights.dense, kLayerPrefix);
  const RoutingResult routing = router.forward(pass, input, step, load.layer(0));
  read_choice(routing, run);
  run.logits = copy(routing.logits);
  run.scores = copy(routing.scores);
  run.clean_logits = copy(routing.clean_logits);
  run.noise_std = copy(routing.noise_std);
  if (!router_case.step.training) return run;
  run.dx.resize(x.size());
  const auto dweights = slot_gradients(arena, routing, pair_weights(router_case.options, input.rows()));
  router.backward(pass, input, step, routing, {load.layer(0), aux, &z_loss}, dweights,
                  {run.dx.data(), input.shape()});
  return run;
}

}  // namespace troupe::experts
