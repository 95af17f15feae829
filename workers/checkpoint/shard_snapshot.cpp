#include "workers/checkpoint/shard_snapshot.h"

#include <cstring>

#include "base/index.h"
#include "tensor/parallel.h"

namespace troupe::workers {

void ShardSnapshot::take(const Execution& execution, std::span<const storage::TensorShard> shards) {
  shards_.assign(shards.begin(), shards.end());
  std::vector<std::size_t> places;
  std::size_t bytes = 0;
  for (const auto& shard : shards) {
    places.push_back(bytes);
    bytes += shard.data.size();
  }
  reserve(bytes);
  parallel_for(execution, std::ssize(shards), [&](std::int64_t i) {
    const auto index = at(i);
    const std::span<const std::byte> data = shards[index].data;
    std::byte* place = memory_.get() + places[index];
    std::memcpy(place, data.data(), data.size());
    shards_[index].data = {place, data.size()};
  });
}

void ShardSnapshot::reserve(std::size_t bytes) {
  if (bytes <= capacity_) return;
  memory_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
  capacity_ = bytes;
}

}  // namespace troupe::workers
