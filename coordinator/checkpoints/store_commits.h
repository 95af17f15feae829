#pragma once
#include "coordinator/checkpoints/checkpoint_commits.h"
#include "coordinator/options.h"
#include "storage/checkpoint_store.h"

namespace troupe::coordinator {

/// Commits into a run's checkpoints folder and keeps what the options say.
class StoreCommits final : public CheckpointCommits {
 public:
  /// `run`: what is the same for all checkpoints of this process: timeline, workers, expert_parallel, hashes,
  /// configuration; the rest is filled in from the workers' reports. `store` is recovered already.
  StoreCommits(storage::CheckpointStore store, const CheckpointOptions& options,
               storage::CheckpointMetadata run);

  [[nodiscard]] CommittedCheckpoint commit(const CheckpointAttempt& attempt) override;
  void abandon(std::int64_t step, comm::Epoch epoch) override;

 private:
  storage::CheckpointStore store_;
  storage::Retention retention_;
  storage::CheckpointMetadata run_;
};

}  // namespace troupe::coordinator
