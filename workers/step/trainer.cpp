#include "workers/step/trainer.h"

#include <algorithm>
#include <cmath>

#include "model/parameters.h"
#include "optimizer/schedule.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "workers/step/migration.h"

namespace troupe::workers {
namespace {

constexpr std::int64_t kReduceScratchElements = std::int64_t{1} << 20;  // 4 MiB

std::vector<std::vector<float>> buffers(std::size_t count, std::int64_t elements) {
  return std::vector<std::vector<float>>(count, std::vector<float>(static_cast<std::size_t>(elements)));
}

std::int64_t microbatches(const layout::BatchShape& batch) {
  return static_cast<std::int64_t>(batch.turns) * batch.grad_lanes;
}

// Load by domain is counted where its integers, which are reduced every step, cost next to nothing.
constexpr std::int64_t kDomainWords = std::int64_t{1} << 16;

int counted_domains(const TrainingOptions& options, const data::TokenDataset& dataset) {
  const std::int64_t domains = std::ssize(dataset.header().domain_names);
  const std::int64_t words = domains * model::moe_layers(options.model) * options.model.moe.choices();
  return words <= kDomainWords ? static_cast<int>(domains) : 0;
}

model::TransformerShape shape_of(const TrainingOptions& options, int domains) {
  return {.vocab_size = options.vocab_size,
          .sequence_length = options.data.sequence_length,
          .max_tokens = options.batch.micro_batch * options.data.sequence_length,
          .domains = domains,
          .recompute = options.recompute};
}

// Later turns need room for a microbatch's gradient beside the lane's, and so do collectives that a
// worker joins without a lane.
std::size_t scratch_elements(const TrainingOptions& options, const layout::Layout& layout, int worker,
                             const ParameterTable& dense) {
  const bool needed = options.batch.turns > 1 || layout.lane(worker, layout.waves() - 1) < 0;
  return needed ? static_cast<std::size_t>(dense.buffer_elements()) : 0;
}

// Integers that turns exchange for losses of scope global_running: counts, then unbiased ones.
std::size_t turn_count_elements(const TrainingOptions& options, const layout::LoadStatistics& load) {
  const bool needed =
      options.batch.turns > 1 && std::ranges::any_of(options.model.moe.aux_loss, [](const auto& loss) {
        return loss.kind == experts::AuxLossKind::kLoadBalance &&
               loss.scope == experts::AuxScope::kGlobalRunning;
      });
  return needed ? load.counts.all().size() + load.unbiased.all().size() : 0;
}

}  // namespace

Trainer::Trainer(const TrainingOptions& options, const layout::Layout& layout, comm::Communicator& world,
                 const data::TokenDataset& dataset, const data::SequenceOrder& order, const Clock& clock)
    : options_(options),
      layout_(layout),
      profile_(clock, options.threads, options.profile_ops),
      execution_{options.threads, &profile_},
      groups_(world, layout),
      partition_(options.model, options.vocab_size, layout, world.rank()),
      state_(options, partition_),
      loader_(dataset, order, options.data.sequence_length, options.data.document_mask, options.batch),
      domains_(counted_domains(options, dataset)),
      model_(make_model()),
      result_(model_->make_result()),
      chunk_sums_(partition_.global),
      exchange_(result_.load.size(),
                microbatches(options.batch) * values_per_microbatch() + chunk_sums_.chunks(),
                layout.workers()),
      dense_lanes_(buffers(layout.lanes_of(world.rank()).size(), partition_.dense.buffer_elements())),
      microbatch_gradient_(scratch_elements(options, layout, world.rank(), partition_.dense)),
      expert_lanes_(buffers(layout.expert_lanes_of(layout.group(world.rank())).size(),
                            partition_.experts.buffer_elements())),
      expert_lane_views_(expert_lanes_.begin(), expert_lanes_.end()),
      dense_reduction_(groups_.world, options.batch.grad_lanes, partition_.dense_slices,
                       kReduceScratchElements),
      expert_reduction_(*groups_.replicas, options.batch.expert_lanes, partition_.expert_slices,
                        kReduceScratchElements),
      dense_reduced_(dense_lanes_.begin(), dense_lanes_.end()),
      expert_reduced_(expert_lanes_.begin(), expert_lanes_.end()),
      reduce_scratch_(layout.workers() > 1 ? static_cast<std::size_t>(kReduceScratchElements) : 0),
      lane_of_source_(static_cast<std::size_t>(layout.expert_parallel())),
      aux_coefficients_(options.model.moe.aux_loss.size()),
      turn_counts_(turn_count_elements(options, result_.load)),
      chunk_values_(static_cast<std::size_t>(chunk_sums_.chunks())) {
  step_.load = result_.load;
  step_.aux_loss.resize(options.model.moe.aux_loss.size());
  step_.layer_aux_loss.resize(result_.aux_loss.size());
  step_.layer_router_z.resize(result_.router_z_loss.size());
}

std::unique_ptr<model::Transformer> Trainer::make_model() const {
  const auto moe_layers = static_cast<std::size_t>(model::moe_layers(options_.model));
  return std::make_unique<model::Transformer>(
      options_.model, shape_of(options_, domains_), partition_.dense, partition_.experts,
      experts::ModelExpertGroup{*groups_.expert_group, layout_.placements(moe_layers), options_.dispatch},
      execution_);
}

std::int64_t Trainer::place_experts(layout::Placement placement) {
  const layout::Layout moved = layout_.with_placement(std::move(placement));
  const std::int64_t bytes = migrate_experts(groups_.world, options_, layout_, moved, partition_, state_);
  layout_ = moved;
  model_.reset();  // before the next one reserves its memory
  model_ = make_model();
  return bytes;
}

std::int64_t Trainer::values_per_microbatch() const {
  return 2 + std::ssize(result_.aux_loss) + std::ssize(result_.router_z_loss);
}

const StepResult& Trainer::step(const ControlWord& control, std::span<const experts::RoutingTape> tapes) {
  profile_.reset();
  exchange_.clear();
  const model::StepContext context = step_context();
  run_microbatches(context, tapes);
  reduce_gradients();
  exchange(control);
  sum_losses(context.target_tokens);
  step_.skipped = !finite();
  if (!step_.skipped) update();
  ++state_.counters.step;
  state_.counters.next_sequence += options_.batch.sequences();
  state_.counters.tokens += options_.batch.sequences() * options_.data.sequence_length;
  step_.step = state_.counters.step;
  step_.seconds = profile_.seconds();
  return step_;
}

model::StepContext Trainer::frozen_context() const {
  return {.target_tokens = 1,
          .routed_tokens = options_.batch.sequences() * options_.data.sequence_length,
          .bias = state_.bias(),
          .previous_counts = state_.previous_counts.all(),
          .previous_unbiased_counts = state_.previous_unbiased_counts.all(),
          .aux_coefficients = aux_coefficients_,
          .seed = options_.seed};
}

model::StepContext Trainer::step_context() {
  for (std::size_t i = 0; i < aux_coefficients_.size(); ++i) {
    aux_coefficients_[i] =
        options_.model.moe.aux_loss[i].coefficient.at(state_.counters.step, options_.steps);
  }
  model::StepContext context = frozen_context();
  context.target_tokens = loader_.target_tokens(state_.counters.next_sequence);
  std::ranges::fill(turn_counts_, 0);
  const auto running = std::span<const std::int64_t>(turn_counts_);
  context.running_counts = running.first(turn_counts_.size() / 2);
  context.running_unbiased_counts = running.last(turn_counts_.size() / 2);
  return context;
}

void Trainer::sum_turns() {
  const PhaseScope phase(execution_, Phase::kReduce);
  std::ranges::copy(exchange_.counts().first(turn_counts_.size()), turn_counts_.begin());
  groups_.world.all_reduce_sum(turn_counts_);
}

void Trainer::run_microbatches(const model::StepContext& context,
                               std::span<const experts::RoutingTape> tapes) {
  for (auto& lane : expert_lanes_) ops::zero(execution_, lane);
  for (int turn = 0; turn < options_.batch.turns; ++turn) {
    for (int wave = 0; wave < layout_.waves(); ++wave) {
      const auto index = static_cast<std::size_t>(turn * layout_.waves() + wave);
      run_microbatch(turn, wave, context, tapes.empty() ? experts::RoutingTape{} : tapes[index]);
    }
    if (!turn_counts_.empty() && turn + 1 < options_.batch.turns) sum_turns();
  }
}

void Trainer::run_microbatch(int turn, int wave, const model::StepContext& context,
                             const experts::RoutingTape& tape) {
  const int lane = layout_.lane(groups_.world.rank(), wave);
  set_wave(wave);
  model::MicrobatchInput input;  // nothing, without a lane
  if (lane >= 0) {
    const PhaseScope phase(execution_, Phase::kLoad);
    input = loader_.load(state_.counters.next_sequence + layout_.first_sequence(turn, lane));
    input.tape = tape;
  }
  const bool into_lane = lane >= 0 && turn == 0;
  const std::span<float> gradient =
      into_lane ? dense_lanes_[static_cast<std::size_t>(wave)] : microbatch_gradient_;
  model_->forward_backward(input, context, {lane_of_source_}, weights(), {gradient, expert_lane_views_},
                           result_);
  if (lane < 0) return;
  if (turn > 0) ops::add(execution_, gradient, dense_lanes_[static_cast<std::size_t>(wave)]);
  record(turn, lane);
}

void Trainer::set_wave(int wave) {
  const int group = layout_.group(groups_.world.rank());
  for (int position = 0; position < layout_.expert_parallel(); ++position) {
    const int lane = layout_.lane(layout_.worker(group, position), wave);
    // Lanes of a group are x ≡ group (mod R): lane x is its buffer ⌊x / R⌋.
    lane_of_source_[static_cast<std::size_t>(position)] =
        lane < 0 ? 0 : layout_.expert_lane(lane) / layout_.replicas();
  }
}

void Trainer::record(int turn, int lane) {
  std::int64_t at =
      (static_cast<std::int64_t>(turn) * options_.batch.grad_lanes + lane) * values_per_microbatch();
  exchange_.set_value(at++, result_.nll);
  exchange_.set_value(at++, result_.log_z_squared);
  for (const double value : result_.aux_loss) exchange_.set_value(at++, value);
  for (const double value : result_.router_z_loss) exchange_.set_value(at++, value);
  result_.load.add_to(exchange_.counts());
}

void Trainer::reduce_gradients() {
  const PhaseScope phase(execution_, Phase::kReduce);
  dense_total_ = dense_reduction_.reduce(execution_, dense_reduced_, reduce_scratch_);
  expert_total_ = expert_reduction_.reduce(execution_, expert_reduced_, reduce_scratch_);
}

void Trainer::exchange(const ControlWord& control) {
  const PhaseScope phase(execution_, Phase::kReduce);
  std::ranges::fill(chunk_values_, 0.0);
  const auto dense = partition_.dense_slice();
  const auto experts = partition_.expert_slice();
  chunk_sums_.fill(execution_, partition_.dense, dense.begin, dense.end, dense_total_, chunk_values_);
  chunk_sums_.fill(execution_, partition_.experts, experts.begin, experts.end, expert_total_, chunk_values_);
  const std::int64_t first = microbatches(options_.batch) * values_per_microbatch();
  for (std::size_t i = 0; i < chunk_values_.size(); ++i) {
    exchange_.set_value(first + static_cast<std::int64_t>(i), chunk_values_[i]);
  }
  exchange_.set_control(groups_.world.rank(), control);
  exchange_.reduce(groups_.world);
  step_.control = exchange_.control();
  for (std::size_t i = 0; i < chunk_values_.size(); ++i) {
    chunk_values_[i] = exchange_.value(first + static_cast<std::int64_t>(i));
  }
  step_.grad_norm = optimizer::ChunkSums::norm(chunk_values_);
  step_.load.assign(exchange_.counts());
}

void Trainer::sum_losses(std::int64_t target_tokens) {
  const auto& moe = options_.model.moe;
  const auto layers = static_cast<double>(std::max<std::int64_t>(1, model::moe_layers(options_.model)));
  const auto tokens = static_cast<double>(target_tokens);
  const auto routed = static_cast<double>(options_.batch.sequences() * options_.data.sequence_length);
  const std::size_t losses = moe.aux_loss.size();
  double nll = 0.0;
  double log_z_squared = 0.0;
  double router_z = 0.0;
  std::ranges::fill(step_.aux_loss, 0.0);
  std::ranges::fill(step_.layer_aux_loss, 0.0);
  std::ranges::fill(step_.layer_router_z, 0.0);
  for (std::int64_t microbatch = 0; microbatch < microbatches(options_.batch); ++microbatch) {
    std::int64_t at = microbatch * values_per_microbatch();
    nll += exchange_.value(at++);
    log_z_squared += exchange_.value(at++);
    for (std::size_t i = 0; i < result_.aux_loss.size(); ++i) {
      step_.aux_loss[i % losses] += exchange_.value(at);
      step_.layer_aux_loss[i] += exchange_.value(at++) / routed;
    }
    for (double& layer_z : step_.layer_router_z) {
      router_z += exchange_.value(at);
      layer_z += exchange_.value(at++) / routed;
    }
  }
  step_.loss_lm = nll / tokens;
  step_.loss_z = log_z_squared / tokens;
  step_.loss =
      step_.loss_lm + options_.model.loss.z_loss * step_.loss_z + moe.router.z_loss * (router_z / routed);
  step_.router_z_loss = router_z / routed / layers;
  for (std::size_t i = 0; i < losses; ++i) {
    step_.loss += aux_coefficients_[i] * (step_.aux_loss[i] / routed);
    step_.aux_loss[i] /= routed * layers;
  }
}

bool Trainer::finite() const { return std::isfinite(step_.loss) && std::isfinite(step_.grad_norm); }

void Trainer::update() {
  {
    const PhaseScope phase(execution_, Phase::kUpdate);
    const double clip = options_.optimizer.grad_clip;
    const float scale =
        clip > 0.0 && step_.grad_norm > clip ? static_cast<float>(clip / step_.grad_norm) : 1.0F;
    const std::int64_t next = state_.counters.step + 1;
    step_.learning_rate =
        options_.optimizer.lr * optimizer::learning_rate_factor(options_.schedule, next, options_.steps);
    ++state_.counters.updates;
    state_.dense_adamw.update(execution_, state_.counters.updates, step_.learning_rate, scale,
                              state_.dense_values, dense_total_);
    state_.expert_adamw.update(execution_, state_.counters.updates, step_.learning_rate, scale,
                               state_.expert_values, expert_total_);
    state_.balance(step_.load, frozen_context().routed_tokens,
                   options_.model.moe.balancer.rate.at(state_.counters.step, options_.steps));
  }
  gather_weights();
}

void Trainer::gather_weights() {
  const PhaseScope phase(execution_, Phase::kReduce);
  const auto gather = [](comm::Communicator& communicator, const std::vector<std::int64_t>& slices,
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
  };
  gather(groups_.world, partition_.dense_slices, state_.dense_values);
  gather(*groups_.replicas, partition_.expert_slices, state_.expert_values);
}

}  // namespace troupe::workers
