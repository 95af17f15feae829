#include "workers/step/trainer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/fault_points.h"
#include "base/index.h"
#include "optimizer/schedule.h"
#include "workers/step/migration.h"
#include "workers/step/not_finite.h"
#include "workers/step/replica_check.h"

namespace troupe::workers {
Trainer::Trainer(const TrainingOptions& options, model::Model& model, const data::TokenDataset& dataset,
                 const data::SequenceOrder& order)
    : Trainer(options, model,
              BatchLoader(dataset, order, options.data.sequence_length, options.data.document_mask,
                          options.batch)) {}

Trainer::Trainer(const TrainingOptions& options, model::Model& model, BatchLoader loader)
    : options_(options),
      model_(model),
      state_(options, model),
      loader_(std::move(loader)),
      result_(model.transformer().make_result()),
      gradients_(model, state_.partition),
      losses_(options.model),
      norm_(model, state_.partition, losses_.sums()),
      exchange_(result_.load.size(), losses_.sums() + GradientNorm::kSums, model.world().size()),
      counts_(options, result_.load),
      aux_coefficients_(options.model.moe.aux_loss.size()) {
  static_cast<StepLosses&>(step_) = losses_.make_losses();
  step_.load = result_.load;
}

std::int64_t Trainer::place_experts(layout::Placement placement) {
  return migrate_experts(options_, model_.layout().with_placement(std::move(placement)), model_, state_);
}

const StepResult& Trainer::step(const ControlSource& control, std::span<const experts::RoutingTape> tapes) {
  model_.profile().reset();
  if (model_.accelerator() == nullptr)
    fault_points::reach("weights", model_.rank(), state_.counters.step + 1,
                        std::as_writable_bytes(model_.dense_values()));
  exchange_.clear();
  gradients_.clear();
  model::StepContext context = step_context();
  run_microbatches(context, tapes);
  gradients_.reduce();
  exchange(control ? control() : ControlWord());
  if (options_.verify_every > 0 && model_.world().size() > 1 &&
      (state_.counters.step + 1) % options_.verify_every == 0)
    check_replicas(model_, state_);
  losses_.sum(exchange_, {context.target_tokens, context.routed_tokens, aux_coefficients_}, step_);
  step_.learning_rate =
      options_.optimizer.lr *
      optimizer::learning_rate_factor(options_.schedule, state_.counters.step + 1, options_.steps);
  step_.skip_reason = skip_reason();
  step_.skipped = !step_.skip_reason.empty();
  if (!step_.skipped) update();
  TrainingCounters& counters = state_.counters;
  ++counters.step;
  counters.skipped_in_a_row = step_.skipped ? counters.skipped_in_a_row + 1 : 0;
  counters.next_sequence += options_.batch.sequences();
  counters.tokens += options_.batch.sequences() * options_.data.sequence_length;
  step_.step = counters.step;
  step_.seconds = model_.profile().seconds();
  return step_;
}

/// From what was reduced over all workers, so that all decide alike.
std::string Trainer::skip_reason() {
  const auto gradients = std::isfinite(step_.grad_norm) ? std::vector<std::string>() : norm_.not_finite();
  const std::string what = not_finite(step_, gradients, options_.model);
  if (!what.empty()) return "not finite: " + what;
  if (options_.loss_spike_sigmas == 0.0) return {};
  return loss_spike(state_.recent_losses, step_.loss, options_.loss_spike_sigmas);
}

model::StepContext Trainer::step_context() {
  for (std::size_t i = 0; i < aux_coefficients_.size(); ++i) {
    aux_coefficients_[i] =
        options_.model.moe.aux_loss[i].coefficient.at(state_.counters.step, options_.steps);
  }
  return {.target_tokens = loader_.target_tokens(state_.counters.next_sequence),
          .routed_tokens = options_.batch.sequences() * options_.data.sequence_length,
          .bias = model_.bias(),
          .aux_coefficients = aux_coefficients_,
          .seed = model_.seed(),
          .counts = {.previous = state_.previous_counts.all()},
          .unbiased_counts = {.previous = state_.previous_unbiased_counts.all()}};
}

Trainer::Place Trainer::place(std::int64_t index) const {
  const int waves = model_.layout().waves();
  const int wave = static_cast<int>(index) % waves;
  return {.accumulation_step = static_cast<int>(index) / waves,
          .wave = wave,
          .lane = model_.layout().lane(model_.rank(), wave)};
}

void Trainer::run_microbatches(model::StepContext& context, std::span<const experts::RoutingTape> tapes) {
  const std::int64_t all = std::int64_t{options_.batch.accumulation_steps} * model_.layout().waves();
  const std::int64_t together = microbatches_together(options_.model, model_.layout());
  for (std::int64_t begin = 0; begin < all; begin += together)
    run_together(begin, begin + together, context, tapes);
}

void Trainer::run_together(std::int64_t begin, std::int64_t end, model::StepContext& context,
                           std::span<const experts::RoutingTape> tapes) {
  const std::int64_t held = model_.shape().held;
  const auto set_tape = [&](std::int64_t index) {
    if (!tapes.empty()) context.tape = tapes[at(index)];
  };
  model_.transformer().release();
  for (std::int64_t index = begin; index < end; ++index) {
    set_tape(index);
    forward(index, index - begin < held, context);
  }
  for (std::int64_t index = begin; index < end; ++index) {
    set_tape(index);
    counts_.show(place(index).accumulation_step, context);
    if (index - begin >= held) forward_again(index, context);
    backward(index, at(index - begin < held ? index - begin : 0), context);
  }
}

void Trainer::forward(std::int64_t index, bool held, const model::StepContext& context) {
  const Place at = place(index);
  const MicrobatchInput input = load(at);
  if (held) {
    model_.transformer().forward(input, context, model_.weights(), result_);
  } else {
    model_.transformer().count(input, context, model_.weights(), result_);
  }
  if (at.lane >= 0) result_.load.add_to(exchange_.counts());
  if (at.wave + 1 < model_.layout().waves()) return;
  const PhaseScope phase(model_.execution(), Phase::kReduce);
  counts_.end_accumulation_step(at.accumulation_step, exchange_.counts(), model_.world());
}

/// Of a microbatch that was not held; those that were have been backward.
void Trainer::forward_again(std::int64_t index, const model::StepContext& context) {
  const WholePhaseScope phase(model_.execution(), Phase::kForwardAgain);
  model_.transformer().release();
  model_.transformer().forward(load(place(index)), context, model_.weights(), result_);
}

void Trainer::backward(std::int64_t index, std::size_t held, const model::StepContext& context) {
  const Place at = place(index);
  model_.transformer().backward(held, context, model_.weights(), gradients_.of(at.accumulation_step, at.wave),
                                result_);
  if (at.lane < 0) return;
  gradients_.add(at.accumulation_step, at.wave);
  losses_.add(result_, exchange_);
}

/// Nothing, without a lane.
MicrobatchInput Trainer::load(const Place& place) {
  if (place.lane < 0) return {};
  const PhaseScope phase(model_.execution(), Phase::kLoad);
  const std::int64_t first = model_.layout().first_sequence(place.accumulation_step, place.lane);
  return loader_.load(state_.counters.next_sequence + first);
}

void Trainer::exchange(const ControlWord& control) {
  const PhaseScope phase(model_.execution(), Phase::kReduce);
  norm_.add(gradients_.dense_total(), gradients_.expert_total(), exchange_);
  exchange_.set_control(model_.rank(), control);
  exchange_.reduce(model_.world());
  step_.control = exchange_.control();
  step_.grad_norm = norm_.norm(exchange_);
  step_.load.assign(exchange_.counts());
}

void Trainer::update() {
  {
    const PhaseScope phase(model_.execution(), Phase::kUpdate);
    const double clip = options_.optimizer.grad_clip;
    const float scale =
        clip > 0.0 && step_.grad_norm > clip ? static_cast<float>(clip / step_.grad_norm) : 1.0F;
    ++state_.counters.updates;
    if (options_.loss_spike_sigmas > 0.0) state_.recent_losses.add(step_.loss);
    state_.dense_adamw.update(model_.execution(), state_.counters.updates, step_.learning_rate, scale,
                              model_.dense_buffer(), gradients_.dense_total());
    state_.expert_adamw.update(model_.execution(), state_.counters.updates, step_.learning_rate, scale,
                               model_.expert_buffer(), gradients_.expert_total());
    state_.balance(step_.load, options_.batch.sequences() * options_.data.sequence_length,
                   options_.model.moe.balancer.rate.at(state_.counters.step, options_.steps), model_);
  }
  gather_weights();
}

void Trainer::gather_weights() {
  const PhaseScope phase(model_.execution(), Phase::kReduce);
  weights_here_.gather(model_.world(), state_.partition.dense_slices, model_.accelerator(),
                       model_.dense_buffer());
  weights_here_.gather(*model_.groups().replicas, state_.partition.expert_slices, model_.accelerator(),
                       model_.expert_buffer());
}

}  // namespace troupe::workers
