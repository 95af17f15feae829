#include "workers/step/trainer.h"

#include <algorithm>
#include <cmath>

#include "optimizer/schedule.h"
#include "workers/step/migration.h"

namespace troupe::workers {
namespace {

// Integers that turns exchange for losses of scope global_running: counts, then unbiased ones.
std::size_t turn_count_elements(const TrainingOptions& options, const layout::LoadStatistics& load) {
  const bool needed =
      options.batch.turns > 1 && std::ranges::any_of(options.model.moe.aux_loss, [](const auto& loss) {
        return loss.kind == experts::AuxLossKind::kLoadBalance &&
               loss.scope == experts::AuxScope::kGlobalRunning;
      });
  return needed ? load.counts.all().size() + load.unbiased.all().size() : 0;
}

/// Every rank's slice of `values` to every rank.
void gather_slices(comm::Communicator& communicator, const std::vector<std::int64_t>& slices,
                   std::span<float> values) {
  if (communicator.size() == 1) return;
  std::vector<std::int64_t> bytes;
  for (std::size_t r = 0; r + 1 < slices.size(); ++r) {
    bytes.push_back((slices[r + 1] - slices[r]) * static_cast<std::int64_t>(sizeof(float)));
  }
  const auto rank = static_cast<std::size_t>(communicator.rank());
  const auto mine = values.subspan(static_cast<std::size_t>(slices[rank]),
                                   static_cast<std::size_t>(slices[rank + 1] - slices[rank]));
  communicator.all_gather_v(std::as_bytes(mine), {std::as_writable_bytes(values), bytes});
}

}  // namespace

Trainer::Trainer(const TrainingOptions& options, model::Model& model, const data::TokenDataset& dataset,
                 const data::SequenceOrder& order)
    : options_(options),
      model_(model),
      state_(options, model),
      loader_(dataset, order, options.data.sequence_length, options.data.document_mask, options.batch),
      result_(model.transformer().make_result()),
      gradients_(model, state_.partition),
      losses_(options.model, options.batch),
      norm_(model, losses_.values()),
      exchange_(result_.load.size(), losses_.values() + norm_.values(), model.world().size()),
      aux_coefficients_(options.model.moe.aux_loss.size()),
      turn_counts_(turn_count_elements(options, result_.load)) {
  static_cast<StepLosses&>(step_) = losses_.make_losses();
  step_.load = result_.load;
}

std::int64_t Trainer::place_experts(layout::Placement placement) {
  return migrate_experts(options_, model_.layout().with_placement(std::move(placement)), model_, state_);
}

const StepResult& Trainer::step(const ControlSource& control, std::span<const experts::RoutingTape> tapes) {
  model_.profile().reset();
  exchange_.clear();
  gradients_.clear();
  const model::StepContext context = step_context();
  run_microbatches(context, tapes);
  gradients_.reduce();
  exchange(control ? control() : ControlWord());
  losses_.sum(exchange_, {context.target_tokens, context.routed_tokens, aux_coefficients_}, step_);
  step_.skipped = !std::isfinite(step_.loss) || !std::isfinite(step_.grad_norm);
  if (!step_.skipped) update();
  TrainingCounters& counters = state_.counters;
  ++counters.step;
  counters.next_sequence += options_.batch.sequences();
  counters.tokens += options_.batch.sequences() * options_.data.sequence_length;
  step_.step = counters.step;
  step_.seconds = model_.profile().seconds();
  return step_;
}

model::StepContext Trainer::step_context() {
  for (std::size_t i = 0; i < aux_coefficients_.size(); ++i) {
    aux_coefficients_[i] =
        options_.model.moe.aux_loss[i].coefficient.at(state_.counters.step, options_.steps);
  }
  std::ranges::fill(turn_counts_, 0);
  const auto running = std::span<const std::int64_t>(turn_counts_);
  return {.target_tokens = loader_.target_tokens(state_.counters.next_sequence),
          .routed_tokens = options_.batch.sequences() * options_.data.sequence_length,
          .bias = model_.bias(),
          .previous_counts = state_.previous_counts.all(),
          .previous_unbiased_counts = state_.previous_unbiased_counts.all(),
          .aux_coefficients = aux_coefficients_,
          .seed = model_.seed(),
          .running_counts = running.first(turn_counts_.size() / 2),
          .running_unbiased_counts = running.last(turn_counts_.size() / 2)};
}

void Trainer::sum_turns() {
  const PhaseScope phase(model_.execution(), Phase::kReduce);
  std::ranges::copy(exchange_.counts().first(turn_counts_.size()), turn_counts_.begin());
  model_.world().all_reduce_sum(turn_counts_);
}

void Trainer::run_microbatches(const model::StepContext& context,
                               std::span<const experts::RoutingTape> tapes) {
  const int waves = model_.layout().waves();
  for (int turn = 0; turn < options_.batch.turns; ++turn) {
    for (int wave = 0; wave < waves; ++wave) {
      const auto index = static_cast<std::size_t>(turn * waves + wave);
      run_microbatch(turn, wave, context, tapes.empty() ? experts::RoutingTape{} : tapes[index]);
    }
    if (!turn_counts_.empty() && turn + 1 < options_.batch.turns) sum_turns();
  }
}

void Trainer::run_microbatch(int turn, int wave, const model::StepContext& context,
                             const experts::RoutingTape& tape) {
  const int lane = model_.layout().lane(model_.rank(), wave);
  const model::MicrobatchInput input = load(turn, lane, tape);
  const model::Gradients gradients = gradients_.of(turn, wave);
  model_.transformer().forward_backward(input, context, gradients_.wave(), model_.weights(), gradients,
                                        result_);
  if (lane < 0) return;
  gradients_.add(turn, wave);
  losses_.record(static_cast<std::int64_t>(turn) * options_.batch.grad_lanes + lane, result_, exchange_);
  result_.load.add_to(exchange_.counts());
}

/// Nothing, without a lane.
model::MicrobatchInput Trainer::load(int turn, int lane, const experts::RoutingTape& tape) {
  if (lane < 0) return {};
  const PhaseScope phase(model_.execution(), Phase::kLoad);
  const std::int64_t first = model_.layout().first_sequence(turn, lane);
  model::MicrobatchInput input = loader_.load(state_.counters.next_sequence + first);
  input.tape = tape;
  return input;
}

void Trainer::exchange(const ControlWord& control) {
  const PhaseScope phase(model_.execution(), Phase::kReduce);
  norm_.fill(state_.partition, gradients_.dense_total(), gradients_.expert_total(), exchange_);
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
    const std::int64_t next = state_.counters.step + 1;
    step_.learning_rate =
        options_.optimizer.lr * optimizer::learning_rate_factor(options_.schedule, next, options_.steps);
    ++state_.counters.updates;
    state_.dense_adamw.update(model_.execution(), state_.counters.updates, step_.learning_rate, scale,
                              model_.dense_values(), gradients_.dense_total());
    state_.expert_adamw.update(model_.execution(), state_.counters.updates, step_.learning_rate, scale,
                               model_.expert_values(), gradients_.expert_total());
    state_.balance(step_.load, options_.batch.sequences() * options_.data.sequence_length,
                   options_.model.moe.balancer.rate.at(state_.counters.step, options_.steps), model_);
  }
  gather_weights();
}

void Trainer::gather_weights() {
  const PhaseScope phase(model_.execution(), Phase::kReduce);
  gather_slices(model_.world(), state_.partition.dense_slices, model_.dense_values());
  gather_slices(*model_.groups().replicas, state_.partition.expert_slices, model_.expert_values());
}

}  // namespace troupe::workers
