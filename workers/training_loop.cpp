#include "workers/training_loop.h"

#include <algorithm>
#include <array>

#include "workers/checkpoint/shared_loading.h"
#include "workers/initial_values.h"
#include "workers/peak_flops.h"
#include "workers/step/held_microbatches.h"

namespace troupe::workers {
namespace {

model::ModelSetup setup_of(TrainingOptions options, const layout::Layout& layout, const TrainingData& data,
                           comm::Communicator& world, Accelerator* accelerator) {
  options.hold_microbatches = held_microbatches(options, layout, world, accelerator);
  return model_setup(options, layout, std::ssize(data.train.header().domain_names), accelerator);
}

bool contains(const std::vector<std::int64_t>& steps, std::int64_t step) {
  return std::ranges::binary_search(steps, step);
}

double peak_flops(const EventOptions& events, const model::Model& model, const Clock& clock) {
  return events.peak_flops > 0.0 ? events.peak_flops
                                 : measure_peak_flops(model.world(), model.execution(), clock);
}

}  // namespace

TrainingLoop::TrainingLoop(const TrainingOptions& options, const EventOptions& events,
                           const LoopStorage& storage, const TrainingData& data, const layout::Layout& layout,
                           comm::Communicator& world, StorageThread& storage_thread, RunControl& control,
                           const Clock& clock, Accelerator* accelerator)
    : events_(events),
      storage_(storage),
      storage_thread_(storage_thread),
      control_(control),
      world_(world),
      rank_(world.rank()),
      model_(setup_of(options, layout, data, world, accelerator), layout, world, clock),
      trainer_(options, model_, data.loader(options, reference_.train)),
      evaluator_(model_, data.heldout, options.data.document_mask),
      sampler_(model_, data.tokenizer),
      placer_(trainer_, events.placement_every),
      routing_(options, data.train.content_hash(), layout, world.rank(), storage.routing),
      reports_(trainer_, peak_flops(events, model_, clock)),
      saver_(storage.checkpoints, storage.epoch, storage_thread, control) {
  if (events.snapshot_every > 0 && !storage.snapshots.empty())
    snapshots_.emplace(storage.snapshots, world.rank());
  load();
  if (options.model.objective.kind == model::ObjectiveKind::kDpo)
    reference_ = make_reference(data.pair_files());
  if (data.heldout_pairs)
    pair_evaluator_.emplace(model_, data.heldout, *data.heldout_pairs, reference_.heldout);
}

PairReference TrainingLoop::make_reference(const PairFiles& files) {
  const std::filesystem::path own =
      std::filesystem::absolute(storage_.checkpoints).parent_path() / kReferenceFile;
  const bool begins = storage_.load.empty() && storage_.snapshot.empty();
  // A branch goes on from another run's checkpoint, and has the file of its own from then on.
  const std::filesystem::path from = storage_.load.empty() ? own : reference_of(storage_.load);
  PairReference reference;
  if (begins) {
    reference = compute_reference(model_, files);
  } else {
    storage_thread_.run([&] { reference = read_reference(from, files); });
  }
  if (rank_ == 0 && (begins || from != own))
    storage_thread_.run([&] { write_reference(reference, files, own); });
  return reference;
}

void TrainingLoop::load() {
  if (!storage_.snapshot.empty()) {
    load_snapshot(storage_.snapshot, storage_.snapshot_step, model_, trainer_.state());
  } else if (!storage_.load.empty()) {
    load_together(storage_.load, storage_thread_, model_, trainer_.state());
  } else if (storage_.weights) {
    initialize_from(*storage_.weights, storage_thread_, model_, trainer_.state());
  } else {
    initialize_together(trainer_.state().partition, model_);
  }
  TrainingCounters& counters = trainer_.state().counters;
  counters.next_sequence = std::max(counters.next_sequence, storage_.data_cursor);
}

comm::TrainingEnded TrainingLoop::run() {
  if (events_.saves_on_the_way) saver_.prepare(model_, trainer_.state());
  plan_ = control_.plan(1);
  std::int64_t step = trainer_.state().counters.step;
  if (step >= plan_.first_step) hold_events(step);  // else they were held before this was saved
  bool last = step >= trainer_.options().steps;
  while (!last) {
    if (step == plan_.last_step) plan_ = control_.plan(plan_.version + 1);
    control_.set_activity(step + 1, "training");
    const StepResult& result = train_step();
    step = result.step;
    last = step >= trainer_.options().steps || step == plan_.stop_after || result.control.stop != 0;
    control_.report(reports_.step(result, last || contains(plan_.save, step) || takes_snapshot(step)));
    if (has_diverged()) return end_diverged(result);
    if (result.control.plan_version > plan_.version) plan_ = control_.plan(result.control.plan_version);
    last = border(step, last || step == plan_.stop_after);
    if (!last) placer_.after(result);
  }
  return {.rank = rank_, .step = step, .finished = step >= trainer_.options().steps && !interrupted_};
}

const StepResult& TrainingLoop::train_step() {
  const auto control = [this] {
    return ControlWord{.stop = control_.stop_requested() ? 1 : 0,
                       .plan_version = control_.newest_plan_version()};
  };
  if (!routing_.active()) return trainer_.step(control);
  const std::int64_t step = trainer_.state().counters.step + 1;
  storage_thread_.run([&] { routing_.prepare(step); });
  const StepResult& result = trainer_.step(control, routing_.tapes());
  storage_thread_.run([&] { routing_.keep(step); });
  return result;
}

bool TrainingLoop::border(std::int64_t step, bool last) {
  hold_events(step);
  last = last || interrupted_;
  // While steps are skipped, checkpoints of the same weights would only push good ones out.
  const bool skipped = trainer_.state().counters.skipped_in_a_row > 0;
  if (last || (contains(plan_.save, step) && !skipped)) save(step, last);
  if (!last && takes_snapshot(step)) {
    control_.set_activity(step, "saving");
    snapshots_->take(model_, trainer_.state());
  }
  return last;
}

bool TrainingLoop::takes_snapshot(std::int64_t step) const {
  return snapshots_ && step % events_.snapshot_every == 0;
}

void TrainingLoop::hold_events(std::int64_t step) {
  if (contains(plan_.evaluate_fully, step)) {
    evaluate(step, events_.final_evaluation_sequences);
  } else if (contains(plan_.evaluate, step)) {
    evaluate(step, events_.evaluation_sequences);
  }
  if (contains(plan_.sample, step) && !interrupted_) sample(step);
}

bool TrainingLoop::interrupted() {
  std::array<std::int64_t, 1> asked{control_.stop_requested() ? 1 : 0};
  world_.all_reduce_max(asked);
  interrupted_ = interrupted_ || asked[0] != 0;
  return interrupted_;
}

bool TrainingLoop::has_diverged() const {
  return trainer_.state().counters.skipped_in_a_row >= events_.max_skipped_steps;
}

comm::TrainingEnded TrainingLoop::end_diverged(const StepResult& result) const {
  const TrainingCounters& counters = trainer_.state().counters;
  return {.rank = rank_,
          .step = result.step,
          .finished = false,
          .diverged = fmt::format(
              "{} steps in a row were skipped, up to step {}: {}. No checkpoint was written since the first "
              "of them. Try a lower optimizer.lr or optimizer.weight_decay, a longer schedule.warmup, or "
              "optimizer.grad_clip, from the last checkpoint; run.max_skipped_steps says how many may be "
              "skipped",
              counters.skipped_in_a_row, result.step, result.skip_reason),
          .updates = counters.updates,
          .data_cursor = counters.next_sequence};
}

void TrainingLoop::evaluate(std::int64_t step, std::int64_t sequences) {
  control_.set_activity(step, "evaluating");
  const auto stop = [this] { return interrupted(); };
  const auto result =
      pair_evaluator_ ? pair_evaluator_->evaluate(sequences, stop) : evaluator_.evaluate(sequences, stop);
  if (result && rank_ == 0) control_.report(reports_.evaluation(step, *result));
}

void TrainingLoop::sample(std::int64_t step) {
  control_.set_activity(step, "sampling");
  for (std::size_t i = 0; i < events_.prompts.size(); ++i) {
    const Prompt prompt{.text = events_.prompts[i], .number = static_cast<std::int64_t>(i), .step = step};
    auto text = sampler_.sample(prompt, events_.sample_tokens, {}, {}, [this] { return interrupted(); });
    if (!text) return;
    if (rank_ == 0)
      control_.report(comm::SampleFinished{.step = step, .prompt = prompt.text, .text = std::move(*text)});
  }
}

void TrainingLoop::save(std::int64_t step, bool last) {
  control_.set_activity(step, "saving");
  if (last) {
    saver_.save_and_wait(model_, trainer_.state());
  } else {
    saver_.save(model_, trainer_.state());
  }
}

}  // namespace troupe::workers
