#pragma once
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/index.h"
#include "storage/shard.h"
#include "tensor/execution.h"
#include "tensor/parallel.h"

namespace troupe::workers {

/// Bytes of all their data.
[[nodiscard]] std::size_t bytes_of(std::span<const storage::TensorShard> shards);

/// Copies the shards' data one after the other into `memory`, by the execution's threads, and lets `copies`,
/// which are the shards themselves else, lie there.
///   copied: called for each shard, by its index, from any of the threads
template <class Copied>
void copy_shards(const Execution& execution, std::span<const storage::TensorShard> shards,
                 std::span<std::byte> memory, std::vector<storage::TensorShard>& copies,
                 const Copied& copied) {
  copies.assign(shards.begin(), shards.end());
  for (storage::TensorShard& copy : copies) {
    copy.data = memory.first(copy.data.size());
    memory = memory.subspan(copy.data.size());
  }
  parallel_for(execution, std::ssize(shards), [&](std::int64_t i) {
    const std::span<const std::byte> data = shards[at(i)].data;
    std::memcpy(const_cast<std::byte*>(copies[at(i)].data.data()), data.data(), data.size());
    copied(at(i));
  });
}

/// A copy of shards: their tensors can change while the copy is written. Its memory is taken by the first
/// copy and serves all later ones.
class ShardSnapshot {
 public:
  /// Replaces the last copy.
  void take(const Execution& execution, std::span<const storage::TensorShard> shards);
  [[nodiscard]] std::span<const storage::TensorShard> shards() const { return shards_; }

 private:
  void reserve(std::size_t bytes);

  std::vector<storage::TensorShard> shards_;  // their data lie in memory_
  std::unique_ptr<std::byte[]> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace troupe::workers
