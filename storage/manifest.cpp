#include "storage/manifest.h"

#include <algorithm>
#include <map>

#include "base/error.h"

namespace troupe::storage {
namespace {

void add_range(std::map<std::string, TensorEntry>& tensors, const std::string& file,
               const TensorRange& range) {
  TensorEntry& tensor =
      tensors.try_emplace(range.name, TensorEntry{range.name, range.type, range.global_shape, {}})
          .first->second;
  if (tensor.type != range.type || tensor.shape != range.global_shape) {
    throw Error(ErrorCode::kCorrupt, "'{}' is {} {} in {} and {} {} elsewhere", range.name,
                to_string(range.type), range.global_shape.to_string(), file, to_string(tensor.type),
                tensor.shape.to_string());
  }
  tensor.slices.push_back({file, range.begin, range.count, range.hash});
}

}  // namespace

const TensorEntry* Manifest::find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(tensors, name, {}, &TensorEntry::name);
  return found != tensors.end() && found->name == name ? &*found : nullptr;
}

Manifest assemble_manifest(const CheckpointMetadata& metadata, std::span<const ShardDescription> shards) {
  Manifest manifest{metadata, {}, {}};
  std::map<std::string, TensorEntry> tensors;
  for (const ShardDescription& shard : shards) {
    manifest.files.push_back(shard.file);
    for (const TensorRange& range : shard.ranges) add_range(tensors, shard.file.name, range);
  }
  std::ranges::sort(manifest.files, {}, &FileDescription::name);
  for (auto& [name, tensor] : tensors) {
    std::ranges::sort(tensor.slices, {}, &TensorSlice::begin);
    manifest.tensors.push_back(std::move(tensor));
  }
  return manifest;
}

}  // namespace troupe::storage
