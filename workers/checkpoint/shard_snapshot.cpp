#include "workers/checkpoint/shard_snapshot.h"

#include <numeric>

namespace troupe::workers {

std::size_t bytes_of(std::span<const storage::TensorShard> shards) {
  return std::accumulate(
      shards.begin(), shards.end(), std::size_t{0},
      [](std::size_t sum, const storage::TensorShard& one) { return sum + one.data.size(); });
}

void ShardSnapshot::take(const Execution& execution, std::span<const storage::TensorShard> shards) {
  const std::size_t bytes = bytes_of(shards);
  reserve(bytes);
  copy_shards(execution, shards, {memory_.get(), bytes}, shards_, [](std::size_t) {});
}

void ShardSnapshot::reserve(std::size_t bytes) {
  if (bytes <= capacity_) return;
  memory_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
  capacity_ = bytes;
}

}  // namespace troupe::workers
