#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "comm/control/messages/messages.h"

namespace troupe::coordinator {

/// A checkpoint of which every worker wrote its part.
struct CheckpointAttempt {
  comm::Epoch epoch = 0;
  std::int64_t step = 0;
  std::uint64_t numerics_fingerprint = 0;
  std::vector<comm::ShardWritten> shards;  // by rank, each once, all successful
};

struct CommittedCheckpoint {
  std::string path;  // absolute
  std::int64_t bytes = 0;
};

/// Makes checkpoints out of what workers wrote. Implemented by storage's store (store_commits.h), and by
/// tests. Called from one actor at a time; may take as long as a disk does.
class CheckpointCommits {
 public:
  virtual ~CheckpointCommits() = default;
  /// Publishes all of it or, throwing Error, nothing; after a failure the attempt is removed.
  [[nodiscard]] virtual CommittedCheckpoint commit(const CheckpointAttempt& attempt) = 0;
  /// Removes what was written of an attempt. Throws Error.
  virtual void abandon(std::int64_t step, comm::Epoch epoch) = 0;
};

}  // namespace troupe::coordinator
