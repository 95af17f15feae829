#include "cli/run/same_run.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "cli/run/device_choice.h"
#include "cli/run/run_corpus.h"
#include "configs/identity.h"
#include "optimizer/options.h"

namespace troupe::cli {
namespace {

using configs::Difference;

/// Whether the run's record has the new value already.
bool is_recorded(const Difference& difference, const std::vector<Difference>& from_record) {
  return configs::why_fixed(difference.key).empty() &&
         std::ranges::none_of(from_record,
                              [&](const Difference& other) { return other.key == difference.key; });
}

/// Options of another value that need leave.
std::vector<Difference> changes_of(const configs::RunConfig& saved, const RunChange& change) {
  auto found = configs::differences(saved, change.config);
  if (change.config.init_from.branch && !saved.init_from.branch)
    std::erase_if(found, [](const Difference& one) { return one.key.starts_with("init_from."); });
  if (!change.recorded) return found;
  const auto from_record = configs::differences(*change.recorded, change.config);
  std::erase_if(found, [&](const Difference& one) { return is_recorded(one, from_record); });
  return found;
}

void require_same_meaning(const storage::CheckpointReader& reader, const configs::RunConfig& saved,
                          const RunChange& change) {
  const auto changes = changes_of(saved, change);
  const std::string refused = configs::refused_changes(changes, change.allowed);
  if (!refused.empty()) {
    throw Error(
        ErrorCode::kConfig,
        "{} is a checkpoint of another configuration:{}\nuse the same values (`troupe train --run-dir "
        "FOLDER` takes them from the run), or another --run-dir",
        reader.folder().string(), refused);
  }
  for (const Difference& one : changes) {
    log::info("from step {} on, {} is {}; it was {}", reader.manifest().metadata.step, one.key, one.second,
              one.first);
  }
}

/// A length that is a part of the run grows with it. Where some of the warm-up lies in the past, another
/// length would let the learning rate jump: back into a warm-up that is over, or along another slope.
void require_same_warm_up(const storage::CheckpointReader& reader, const configs::RunConfig& saved,
                          const configs::RunConfig& config) {
  if (saved.schedule.warmup != config.schedule.warmup) return;  // asked for by name
  const std::int64_t step = reader.manifest().metadata.step;
  const std::int64_t was = optimizer::length_in_steps(saved.schedule.warmup, saved.run.steps);
  const std::int64_t now = optimizer::length_in_steps(config.schedule.warmup, config.run.steps);
  if (was == now || step == 0 || step >= std::max(was, now)) return;
  throw Error(
      ErrorCode::kConfig,
      "schedule.warmup = {} is {} of {} steps in {} and would be {} of {}: at step {} the learning rate "
      "would jump\nto keep the warm-up as it was: --set schedule.warmup={} --allow-change "
      "run.steps,schedule.warmup",
      saved.schedule.warmup, was, saved.run.steps, reader.folder().string(), now, config.run.steps, step,
      was);
}

void require_steps(const storage::CheckpointReader& reader, const configs::RunConfig& config) {
  const std::int64_t step = reader.manifest().metadata.step;
  if (config.run.steps >= step) return;
  throw Error(ErrorCode::kConfig,
              "run.steps = {}, and {} has {} steps already: give more, or --resume an earlier one",
              config.run.steps, reader.folder().string(), step);
}

void require_same_corpus(const storage::CheckpointReader& reader, const RunChange& change) {
  const storage::CheckpointMetadata& metadata = reader.manifest().metadata;
  if (metadata.tokenizer_hash != change.corpus.tokenizer_hash) {
    throw Error(ErrorCode::kConfig,
                "{}: the corpus {} has another tokenizer than the one this run was trained with",
                reader.folder().string(), change.config.data.corpus);
  }
  if (metadata.corpus.empty()) return;  // an earlier version wrote it
  const auto was = parse_identity(metadata.corpus, reader.folder().string());
  const std::string changed = data::difference(was, change.corpus.identity);
  if (changed.empty()) return;
  throw Error(
      ErrorCode::kConfig,
      "{} was trained on another content of the corpus {}: {} changed; give the corpus as it was (--set "
      "data.corpus=FOLDER), or begin a new run on the new text with --init-from",
      reader.folder().string(), change.config.data.corpus, changed);
}

void warn_of_another_build(const storage::CheckpointReader& reader, const configs::RunConfig& config) {
  if (reader.manifest().metadata.numerics_fingerprint == numerics_identity(config)) return;
  log::warn(
      "{} was written by another build or kind of machine: the run goes on, but not bit for bit as there",
      reader.folder().string());
}

}  // namespace

void require_same_run(const storage::CheckpointReader& reader, const configs::RunConfig& saved,
                      const RunChange& change) {
  require_same_meaning(reader, saved, change);
  require_steps(reader, change.config);
  require_same_warm_up(reader, saved, change.config);
  require_same_corpus(reader, change);
  warn_of_another_build(reader, change.config);
}

}  // namespace troupe::cli
