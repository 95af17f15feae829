#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "actors/actor.h"
#include "coordinator/checkpoints/checkpoint_commits.h"
#include "coordinator/run/run_messages.h"

namespace troupe::coordinator {

using CheckpointCommitterApi = actors::Accepts<BeginCommits, comm::ShardWritten, FinishCommits>;
/// Whom CheckpointCommitter tells.
using CheckpointListenerApi = actors::Accepts<CheckpointSettled, CommitsFinished>;

/// Collects the workers' reports of each checkpoint and commits it once all have written their part. A part
/// that failed abandons the whole attempt, but only when all parts are settled: no worker then still writes
/// into the folder that is removed. A failed attempt is reported; training goes on.
class CheckpointCommitter final : public actors::Actor<CheckpointCommitterApi> {
 public:
  /// `commits` must outlive the actor.
  CheckpointCommitter(comm::Epoch epoch, std::int64_t world_size, CheckpointCommits& commits,
                      actors::Address<CheckpointListenerApi> listener);

  void on(const BeginCommits& begin) override;
  void on(const comm::ShardWritten& shard) override;
  void on(const FinishCommits& finish) override;

 private:
  struct Attempt {
    TimePoint begun;
    std::map<std::int64_t, comm::ShardWritten> shards;  // by rank
  };

  void settle(std::int64_t step, Attempt& attempt);
  [[nodiscard]] CheckpointView commit(std::int64_t step, Attempt& attempt);
  void abandon(std::int64_t step, const Attempt& attempt, const std::string& error);
  template <class Message>
  void tell(Message message) const;

  comm::Epoch epoch_;
  std::int64_t world_size_;
  CheckpointCommits& commits_;
  actors::Address<CheckpointListenerApi> listener_;
  std::uint64_t numerics_fingerprint_ = 0;
  std::map<std::int64_t, Attempt> attempts_;  // by step
};

}  // namespace troupe::coordinator
