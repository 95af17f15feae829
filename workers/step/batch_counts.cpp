#include "workers/step/batch_counts.h"

#include <algorithm>

#include "base/index.h"
#include "model/layer_spec.h"

namespace troupe::workers {
namespace {

bool has_scope(const model::ModelOptions& options, experts::AuxScope scope) {
  return std::ranges::any_of(options.moe.aux_loss, [&](const experts::AuxLossOptions& loss) {
    return loss.kind == experts::AuxLossKind::kLoadBalance && loss.scope == scope;
  });
}

}  // namespace

std::int64_t microbatches_together(const model::ModelOptions& options, const layout::Layout& layout) {
  if (model::moe_layers(options) == 0) return 1;
  const std::int64_t waves = layout.waves();
  if (has_scope(options, experts::AuxScope::kGlobal)) return layout.batch().accumulation_steps * waves;
  return has_scope(options, experts::AuxScope::kRunning) ? waves : 1;
}

BatchCounts::BatchCounts(const TrainingOptions& options, const layout::LoadStatistics& load)
    : accumulation_steps_(options.batch.accumulation_steps),
      every_accumulation_step_(has_scope(options.model, experts::AuxScope::kRunning)),
      words_(std::ssize(load.counts.all()) + std::ssize(load.unbiased.all())) {
  const bool whole = has_scope(options.model, experts::AuxScope::kGlobal);
  const std::int64_t rows = every_accumulation_step_ ? accumulation_steps_ : whole ? 1 : 0;
  sums_.resize(at(rows * words_));
}

std::span<const std::int64_t> BatchCounts::row(int accumulation_step) const {
  if (sums_.empty()) return {};
  const std::int64_t index = every_accumulation_step_ ? accumulation_step : 0;
  return std::span(sums_).subspan(at(index * words_), at(words_));
}

void BatchCounts::end_accumulation_step(int accumulation_step, std::span<const std::int64_t> so_far,
                                        comm::Communicator& world) {
  if (sums_.empty() || (!every_accumulation_step_ && accumulation_step + 1 < accumulation_steps_)) return;
  const auto sums =
      std::span(sums_).subspan(at(every_accumulation_step_ ? accumulation_step * words_ : 0), at(words_));
  std::ranges::copy(so_far.first(sums.size()), sums.begin());
  world.all_reduce_sum(sums);
}

void BatchCounts::show(int accumulation_step, experts::StepContext& context) const {
  const auto half = at(words_ / 2);
  const auto global = row(accumulation_steps_ - 1);
  const auto running = row(accumulation_step);
  if (sums_.empty()) return;
  context.counts.global = global.first(half);
  context.unbiased_counts.global = global.last(half);
  context.counts.running = running.first(half);
  context.unbiased_counts.running = running.last(half);
}

}  // namespace troupe::workers
