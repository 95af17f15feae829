#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>

#include "cli/run/training_setup.h"
#include "configs/change.h"
#include "configs/run_config.h"
#include "coordinator/run/outcome.h"
#include "storage/checkpoint_store.h"
#include "storage/memory_snapshots.h"

namespace troupe::cli {

/// Where a run begins: the newest checkpoint if there is one, initial values, or the checkpoint of a step.
struct ResumeAuto {};
struct ResumeNever {};
struct ResumeStep {
  std::int64_t step;
};
using Resume = std::variant<ResumeAuto, ResumeNever, ResumeStep>;

/// "auto", "never" or a step; throws kConfig.
[[nodiscard]] Resume parse_resume(const std::string& text);

/// The checkpoint that a run begins from.
struct StartPoint {
  std::string checkpoint;  // absolute folder; empty: initial values
  std::int64_t step = 0;
  std::int64_t timeline = 0;     // of what the run saves: newer than everything that it leaves behind
  std::int64_t data_cursor = 0;  // sequences before this one are left out; 0: as the checkpoint says
  std::int64_t roll_backs = 0;   // of the run, so far
  std::optional<storage::FoundSnapshot> snapshot = std::nullopt;  // newer than the checkpoint

  /// What workers load; empty at the beginning.
  [[nodiscard]] std::string source() const { return snapshot ? snapshot->folder.string() : checkpoint; }
  [[nodiscard]] bool is_beginning() const { return checkpoint.empty() && !snapshot; }
  [[nodiscard]] std::int64_t first_step() const { return snapshot ? snapshot->step : step; }
};

/// Chooses where the run begins; `config` gets the `init_from` that the run began with. A run never goes back
/// to step 0 by itself: when there are checkpoints and none can be used, or one that may be the newest cannot
/// be read, that is refused (kCorrupt, kIo), naming each and why. kConfig when the checkpoint is of another
/// configuration, save for `allowed` changes and those that the run's record tells of already, or of another
/// corpus. A new branch begins from the checkpoint it is of. Call after store.recover(), under the run
/// folder's lock.
[[nodiscard]] StartPoint choose_start(storage::CheckpointStore& store,
                                      const std::filesystem::path& run_folder, const Resume& resume,
                                      const configs::AllowedChanges& allowed, configs::RunConfig& config,
                                      const CorpusFacts& corpus);

/// Where a run that diverged goes back to: the newest intact checkpoint that is older than the weights that
/// are of no use, which is left for another timeline and other batches than those tried since. None: there is
/// no such checkpoint. Decided by updates and not by what happened to be written when, so that every layout
/// decides alike. Under the same lock.
[[nodiscard]] std::optional<StartPoint> choose_roll_back(storage::CheckpointStore& store,
                                                         const StartPoint& before,
                                                         const coordinator::Divergence& divergence);

/// The same with a snapshot in memory, where that is further than the disk.
[[nodiscard]] StartPoint with_snapshot(StartPoint disk, const std::optional<storage::FoundSnapshot>& found);

/// Where a run whose workers were lost goes on: the newest intact checkpoint that it saved since `before`,
/// where they began, or there again. Under the same lock, after store.recover(); throws as choose_start does.
[[nodiscard]] StartPoint choose_restart(storage::CheckpointStore& store, const StartPoint& before);

}  // namespace troupe::cli
