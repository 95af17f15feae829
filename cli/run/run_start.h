#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>

#include "cli/run/training_setup.h"
#include "configs/change.h"
#include "configs/run_config.h"
#include "storage/checkpoint_store.h"

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
  std::int64_t timeline = 0;  // of what the run saves: newer than everything that it leaves behind
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

/// Where a run whose workers were lost goes on: the newest intact checkpoint that it saved since `before`,
/// where they began, or there again. Under the same lock, after store.recover(); throws as choose_start does.
[[nodiscard]] StartPoint choose_restart(storage::CheckpointStore& store, const StartPoint& before);

}  // namespace troupe::cli
