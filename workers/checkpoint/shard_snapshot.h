#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "storage/shard.h"
#include "tensor/execution.h"

namespace troupe::workers {

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
