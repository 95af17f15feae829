#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/element_type.h"
#include "storage/shard.h"
#include "storage/verified_file.h"
#include "tensor/shape.h"

namespace troupe::storage {

/// Version of the format, raised when an older program could misread it.
inline constexpr std::int64_t kManifestVersion = 1;
inline constexpr std::string_view kManifestFile = "manifest.json";
/// The virtual-dataset file that shows whole global tensors.
inline constexpr std::string_view kVirtualFile = "checkpoint.h5";

/// Where a run stands and what it is. Hashes are text, opaque to storage.
struct CheckpointMetadata {
  std::int64_t timeline = 0;      // raised by every roll-back, so that an abandoned branch never wins
  std::int64_t step = 0;          // finished steps
  std::int64_t updates = 0;       // steps that changed the weights
  std::int64_t tokens_total = 0;  // consumed
  std::int64_t data_cursor = 0;   // global number of the next sequence
  std::int64_t epoch = 0;         // of the workers that wrote it
  std::int64_t roll_backs = 0;    // so far, because training diverged
  std::int64_t workers = 1;
  std::int64_t expert_parallel = 1;
  std::string config_hash;
  std::string tokenizer_hash;
  std::uint64_t numerics_fingerprint = 0;
  std::string config;  // the resolved configuration, YAML
  std::string corpus;  // what it was trained on; empty in manifests of earlier versions
  bool operator==(const CheckpointMetadata&) const = default;
};

/// Where a range of a tensor is stored.
struct TensorSlice {
  std::string file;
  std::int64_t begin = 0;
  std::int64_t count = 0;
  Hash128 hash;
  bool operator==(const TensorSlice&) const = default;
};

struct TensorEntry {
  std::string name;
  ElementType type = ElementType::kF32;
  Shape shape;
  std::vector<TensorSlice> slices;  // ascending; they cover every element exactly once
  [[nodiscard]] std::int64_t size_bytes() const { return shape.elements() * storage::size_bytes(type); }
  bool operator==(const TensorEntry&) const = default;
};

/// What a checkpoint holds: the only thing that says it is complete.
struct Manifest {
  CheckpointMetadata metadata;
  std::vector<TensorEntry> tensors;    // ascending names
  std::vector<FileDescription> files;  // ascending names; all but the manifest itself
  [[nodiscard]] const TensorEntry* find(std::string_view name) const;  // null when absent
  bool operator==(const Manifest&) const = default;
};

/// Tensors and files of all workers' reports (without the virtual file). kCorrupt when they contradict.
[[nodiscard]] Manifest assemble_manifest(const CheckpointMetadata& metadata,
                                         std::span<const ShardDescription> shards);

/// kCorrupt, naming the tensor or file, unless names, sizes and ranges are sound: every element of
/// every tensor is stored exactly once, in a listed file that is large enough for it.
void check_manifest(const Manifest& manifest);

/// JSON whose last member is the XXH3-128 of all bytes before it.
[[nodiscard]] std::string serialize_manifest(const Manifest& manifest);
/// Strict: unknown, missing or ill-typed members, a wrong hash, or anything check_manifest refuses
/// throw kCorrupt.
[[nodiscard]] Manifest parse_manifest(std::string_view text);
/// manifest.json of a checkpoint folder; errors name the path.
[[nodiscard]] Manifest load_manifest(const std::filesystem::path& checkpoint);

}  // namespace troupe::storage
