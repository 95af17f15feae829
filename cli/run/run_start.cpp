#include "cli/run/run_start.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "cli/run/initial_weights.h"
#include "cli/run/run_record.h"
#include "cli/run/same_run.h"
#include "configs/load.h"
#include "storage/verify.h"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;
using storage::CheckpointSummary;

std::string states_of(std::span<const CheckpointSummary> checkpoints) {
  std::string lines;
  for (const CheckpointSummary& checkpoint : checkpoints) {
    lines += fmt::format("\n  {}: {}", checkpoint.folder.string(), checkpoint.state());
  }
  return lines;
}

/// An input/output error is not damage: what cannot be read now may be the newest state there is.
void refuse_unreadable(const storage::IntactSearch& found) {
  std::vector<CheckpointSummary> unreadable;
  std::ranges::copy_if(found.passed_over, std::back_inserter(unreadable), &CheckpointSummary::unreadable);
  if (unreadable.empty()) return;
  const std::string older =
      !found.newest ? "--resume never begins at step 0"
                    : fmt::format("--resume {} goes on from {}",
                                  storage::checkpoint_step(found.newest->filename().string()).value_or(0),
                                  found.newest->string());
  throw Error(ErrorCode::kIo,
              "the run does not go on, because checkpoints cannot be read:{}\nmake them readable and start "
              "again; nothing was changed ({} instead)",
              states_of(unreadable), older);
}

[[noreturn]] void refuse_damaged(const storage::IntactSearch& found) {
  throw Error(
      ErrorCode::kCorrupt,
      "the run does not go on, because none of its checkpoints is intact:{}\nput one of them back from "
      "a copy, or begin at step 0 with --resume never; nothing was changed",
      states_of(found.passed_over));
}

std::optional<fs::path> newest_intact(storage::CheckpointStore& store) {
  const storage::IntactSearch found = store.search_intact();
  refuse_unreadable(found);
  if (!found.newest && !found.passed_over.empty()) refuse_damaged(found);
  return found.newest;
}

void require_intact(const fs::path& checkpoint) {
  const storage::VerifyReport report = storage::verify_files(checkpoint);
  if (report.intact()) return;
  throw Error(report.unreadable ? ErrorCode::kIo : ErrorCode::kCorrupt, "{} cannot be used: {}",
              checkpoint.string(), report.problems.front());
}

fs::path intact_at(const storage::CheckpointStore& store, std::int64_t step) {
  fs::path folder = store.open(step).folder();
  require_intact(folder);
  return folder;
}

std::optional<fs::path> wanted_checkpoint(storage::CheckpointStore& store, const Resume& resume) {
  if (std::holds_alternative<ResumeNever>(resume)) return std::nullopt;
  if (const auto* wanted = std::get_if<ResumeStep>(&resume)) return intact_at(store, wanted->step);
  return newest_intact(store);
}

/// A timeline that wins over all that is there.
std::int64_t next_timeline(std::span<const CheckpointSummary> all) {
  return all.empty() ? 0 : 1 + std::ranges::max(all, {}, &CheckpointSummary::timeline).timeline;
}

/// Whether something is there that the run leaves behind by going on from here.
bool goes_back(std::span<const CheckpointSummary> all, const storage::CheckpointMetadata& from) {
  return std::ranges::any_of(all, [&](const CheckpointSummary& other) {
    const bool may_be_of_it = !other.usable() || other.timeline == from.timeline;
    return other.timeline > from.timeline || (may_be_of_it && other.step > from.step);
  });
}

StartPoint start_at(const fs::path& checkpoint, const storage::CheckpointMetadata& metadata,
                    std::span<const CheckpointSummary> all) {
  return {.checkpoint = fs::absolute(checkpoint).string(),
          .step = metadata.step,
          .timeline = goes_back(all, metadata) ? next_timeline(all) : metadata.timeline,
          .roll_backs = metadata.roll_backs};
}

/// What the run's folder says about a run that has no checkpoint yet.
std::optional<configs::RunConfig> recorded_without_checkpoint(const RunRecord& record, const Resume& resume) {
  if (std::holds_alternative<ResumeNever>(resume)) return std::nullopt;
  if (record.problem.empty()) return record.config;
  throw Error(
      ErrorCode::kConfig,
      "{}\nthe run's own record of its configuration is damaged and there is no checkpoint to make it anew "
      "from: remove the file, and give --init-from or --from again if the run was begun so",
      record.problem);
}

/// Of a run that has saved nothing yet.
StartPoint first_start(std::int64_t timeline, const RunChange& change) {
  const auto& init_from = change.config.init_from;
  if (!init_from.branch) return {.checkpoint = {}, .step = 0, .timeline = timeline};
  const fs::path origin = *init_from.checkpoint;
  require_intact(origin);
  const storage::CheckpointReader reader(origin);
  require_same_run(reader, configs::parse_record(reader.manifest().metadata.config, origin.string()), change);
  return {.checkpoint = fs::absolute(origin).string(),
          .step = reader.manifest().metadata.step,
          .timeline = timeline};
}

}  // namespace

StartPoint choose_restart(storage::CheckpointStore& store, const StartPoint& before) {
  const storage::IntactSearch found = store.search_intact();
  refuse_unreadable(found);
  const std::vector<CheckpointSummary> all = store.list();
  if (found.newest) {
    const storage::CheckpointMetadata metadata = storage::CheckpointReader(*found.newest).manifest().metadata;
    if (metadata.timeline == before.timeline) return start_at(*found.newest, metadata, all);
  }
  // What is there is of timelines that it had left behind (--resume), or damaged.
  const auto is_own = [&](const CheckpointSummary& one) { return one.timeline >= before.timeline; };
  if (before.checkpoint.empty() && std::ranges::any_of(found.passed_over, is_own)) refuse_damaged(found);
  if (!before.checkpoint.empty()) require_intact(before.checkpoint);
  StartPoint again = before;
  again.snapshot.reset();
  again.timeline = next_timeline(all);
  return again;
}

std::optional<StartPoint> choose_roll_back(storage::CheckpointStore& store, const StartPoint& before,
                                           const coordinator::Divergence& divergence) {
  const std::optional<fs::path> older = store.newest_intact([&](const storage::CheckpointMetadata& metadata) {
    return metadata.updates < divergence.updates && metadata.timeline <= before.timeline;
  });
  if (!older) return std::nullopt;
  const storage::CheckpointMetadata metadata = storage::CheckpointReader(*older).manifest().metadata;
  return StartPoint{.checkpoint = fs::absolute(*older).string(),
                    .step = metadata.step,
                    .timeline = next_timeline(store.list()),
                    .data_cursor = divergence.data_cursor,
                    .roll_backs = before.roll_backs + 1};
}

StartPoint with_snapshot(StartPoint disk, const std::optional<storage::FoundSnapshot>& found) {
  if (!found || std::pair(found->label.timeline, found->step) <= std::pair(disk.timeline, disk.step))
    return disk;
  disk.timeline = found->label.timeline;
  disk.roll_backs = found->label.roll_backs;
  disk.snapshot = found;
  return disk;
}

Resume parse_resume(const std::string& text) {
  if (text == "auto") return ResumeAuto{};
  if (text == "never") return ResumeNever{};
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
  if (error != std::errc{} || end != text.data() + text.size() || step < 0) {
    throw Error(ErrorCode::kConfig, "--resume {}: auto, never or the step of a checkpoint", text);
  }
  return ResumeStep{step};
}

StartPoint choose_start(storage::CheckpointStore& store, const fs::path& run_folder, const Resume& resume,
                        const configs::AllowedChanges& allowed, configs::RunConfig& config,
                        const CorpusFacts& corpus) {
  const std::optional<fs::path> checkpoint = wanted_checkpoint(store, resume);
  const std::vector<CheckpointSummary> all = store.list();
  const RunRecord record = read_run_record(run_folder);
  if (!checkpoint) {
    resolve_init_from(config, recorded_without_checkpoint(record, resume));
    return first_start(next_timeline(all), {config, corpus, configs::AllowedChanges::everything()});
  }
  if (!record.problem.empty())
    log::warn("the run's record is damaged and is made anew from the checkpoint: {}", record.problem);
  const storage::CheckpointReader reader(*checkpoint);
  const storage::CheckpointMetadata& metadata = reader.manifest().metadata;
  const configs::RunConfig saved = configs::parse_record(metadata.config, reader.folder().string());
  resolve_init_from(config, saved);
  require_same_run(reader, saved, {config, corpus, allowed, record.config});
  return start_at(reader.folder(), metadata, all);
}

}  // namespace troupe::cli
