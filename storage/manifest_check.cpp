#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "base/error.h"
#include "storage/manifest.h"

namespace troupe::storage {
namespace {

bool valid_file_name(std::string_view name) {
  return name.find('/') == std::string_view::npos && !name.starts_with('.') && valid_tensor_name(name) &&
         name != kManifestFile;
}

/// Bytes of each file that no tensor has claimed yet.
using FreeBytes = std::map<std::string, std::int64_t, std::less<>>;

FreeBytes check_files(std::span<const FileDescription> files) {
  FreeBytes free_bytes;
  for (const FileDescription& file : files) {
    if (!valid_file_name(file.name))
      throw Error(ErrorCode::kCorrupt, "'{}' is no plain file name", file.name);
    if (file.size_bytes < 0) throw Error(ErrorCode::kCorrupt, "{} has a negative size", file.name);
    if (!free_bytes.try_emplace(file.name, file.size_bytes).second) {
      throw Error(ErrorCode::kCorrupt, "{} is listed twice", file.name);
    }
  }
  return free_bytes;
}

/// A file cannot hold more elements than it has bytes for, so no length is larger than what is there.
void claim_bytes(FreeBytes& free_bytes, const TensorEntry& tensor, const TensorSlice& slice) {
  const auto file = free_bytes.find(slice.file);
  if (file == free_bytes.end()) {
    throw Error(ErrorCode::kCorrupt, "'{}' is stored in {}, which is not listed", tensor.name, slice.file);
  }
  if (slice.count > file->second / size_bytes(tensor.type)) {
    throw Error(ErrorCode::kCorrupt, "'{}' claims {} elements of {}, which is too small for them",
                tensor.name, slice.count, slice.file);
  }
  file->second -= slice.count * size_bytes(tensor.type);
}

void check_slices(FreeBytes& free_bytes, const TensorEntry& tensor) {
  std::int64_t covered = 0;
  for (const TensorSlice& slice : tensor.slices) {
    if (slice.begin != covered || slice.count <= 0) {
      throw Error(ErrorCode::kCorrupt, "'{}': elements are {} before element {} ({})", tensor.name,
                  slice.begin > covered ? "missing" : "stored twice", std::max(slice.begin, covered),
                  slice.file);
    }
    claim_bytes(free_bytes, tensor, slice);
    covered += slice.count;
  }
  if (covered != tensor.shape.elements()) {
    throw Error(ErrorCode::kCorrupt, "'{}': {} elements are stored, {} has {}", tensor.name, covered,
                tensor.shape.to_string(), tensor.shape.elements());
  }
}

void check_tensor(FreeBytes& free_bytes, const TensorEntry& tensor) {
  if (!valid_tensor_name(tensor.name))
    throw Error(ErrorCode::kCorrupt, "'{}' cannot name a tensor", tensor.name);
  if (tensor.type != ElementType::kF32 && tensor.type != ElementType::kF64 &&
      tensor.type != ElementType::kI64) {
    throw Error(ErrorCode::kCorrupt, "'{}': a checkpoint holds f32, f64 and i64, not {}", tensor.name,
                to_string(tensor.type));
  }
  check_slices(free_bytes, tensor);
}

/// In a file that shows whole tensors, a name cannot be a dataset and a group.
void check_no_name_is_inside_another(std::span<const TensorEntry> tensors) {
  std::set<std::string_view> names;
  for (const TensorEntry& tensor : tensors) names.insert(tensor.name);
  for (const std::string_view name : names) {
    for (std::size_t slash = name.find('/'); slash != std::string_view::npos;
         slash = name.find('/', slash + 1)) {
      if (names.contains(name.substr(0, slash))) {
        throw Error(ErrorCode::kCorrupt, "'{}' is a tensor and the folder of '{}'", name.substr(0, slash),
                    name);
      }
    }
  }
}

void check_metadata(const CheckpointMetadata& metadata) {
  const bool sound = metadata.timeline >= 0 && metadata.step >= 0 && metadata.updates >= 0 &&
                     metadata.tokens_total >= 0 && metadata.data_cursor >= 0 && metadata.epoch >= 0 &&
                     metadata.roll_backs >= 0 && metadata.workers >= 1 && metadata.expert_parallel >= 1;
  if (!sound) throw Error(ErrorCode::kCorrupt, "a counter of the checkpoint is negative");
}

}  // namespace

void check_manifest(const Manifest& manifest) {
  check_metadata(manifest.metadata);
  FreeBytes free_bytes = check_files(manifest.files);
  for (std::size_t i = 0; i < manifest.tensors.size(); ++i) {
    const TensorEntry& tensor = manifest.tensors[i];
    if (i > 0 && manifest.tensors[i - 1].name >= tensor.name) {
      throw Error(ErrorCode::kCorrupt, "'{}' is not in name order, or twice", tensor.name);
    }
    check_tensor(free_bytes, tensor);
  }
  check_no_name_is_inside_another(manifest.tensors);
}

}  // namespace troupe::storage
