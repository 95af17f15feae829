#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "storage/checkpoint_reader.h"
#include "storage/checkpoint_store.h"
#include "storage/shard.h"

namespace troupe::storage {

/// A global tensor with values that say where they belong.
struct SampleTensor {
  std::string name;
  ElementType type;
  Shape shape;
  std::vector<std::byte> bytes;
};

/// A small model's state: dense, stacked experts, bias, counts, sums.
std::vector<SampleTensor> sample_state();

/// What `workers` ranks hold of it: consecutive ranges, uneven; the last tensors' tails are at rank 0.
std::vector<std::vector<TensorShard>> cut_into_shards(const std::vector<SampleTensor>& state,
                                                      std::int64_t workers);

CheckpointMetadata sample_metadata(std::int64_t step, std::int64_t workers);

/// Writes and commits the state as `workers` ranks would.
std::filesystem::path save(CheckpointStore& store, const std::vector<SampleTensor>& state, std::int64_t step,
                           std::int64_t workers);
std::filesystem::path save(CheckpointStore& store, const std::vector<SampleTensor>& state,
                           const CheckpointMetadata& metadata);

}  // namespace troupe::storage
