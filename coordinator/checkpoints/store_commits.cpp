#include "coordinator/checkpoints/store_commits.h"

#include <utility>

#include "base/error.h"
#include "base/fault_points.h"
#include "base/log.h"

namespace troupe::coordinator {
namespace {

std::int64_t folder_bytes(const std::filesystem::path& folder) {
  std::int64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    bytes += static_cast<std::int64_t>(entry.file_size(error));
  }
  if (error) log::warn("the size of {} is not known: {}", folder.string(), error.message());
  return bytes;
}

}  // namespace

StoreCommits::StoreCommits(storage::CheckpointStore store, const CheckpointOptions& options,
                           storage::CheckpointMetadata run)
    : store_(std::move(store)), retention_{options.keep, options.keep_every}, run_(std::move(run)) {}

CommittedCheckpoint StoreCommits::commit(const CheckpointAttempt& attempt) {
  storage::CheckpointMetadata metadata = run_;
  const comm::ShardWritten& any = attempt.shards.front();  // they agree: see CheckpointCommitter
  metadata.step = attempt.step;
  metadata.updates = any.updates;
  metadata.tokens_total = any.tokens_total;
  metadata.data_cursor = any.data_cursor;
  metadata.epoch = attempt.epoch;
  metadata.numerics_fingerprint = attempt.numerics_fingerprint;
  std::vector<storage::ShardDescription> shards;
  for (const comm::ShardWritten& shard : attempt.shards) {
    shards.push_back(storage::parse_shard_description(shard.description));
  }
  fault_points::reach("commit", fault_points::kCoordinator, attempt.step);
  const std::filesystem::path path = store_.commit(metadata, shards);
  fault_points::reach("committed", fault_points::kCoordinator, attempt.step);
  try {
    store_.retain(retention_);
  } catch (const Error& error) {  // the new checkpoint is safe all the same
    log::warn("old checkpoints could not be removed: {}", error.what());
  }
  return {path.string(), folder_bytes(path)};
}

void StoreCommits::abandon(std::int64_t step, comm::Epoch epoch) { store_.abandon(step, epoch); }

}  // namespace troupe::coordinator
