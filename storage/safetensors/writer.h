#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/pending_file.h"
#include "storage/safetensors/header.h"

namespace troupe::storage::safetensors {

inline constexpr std::int64_t kDefaultShardBytes = std::int64_t{5} << 30;

/// Writes a folder's tensors one after another, in the order in which they were announced, from pieces of any
/// size: never more than a piece is in memory. More than `shard_bytes` go to several files, each with at
/// least one tensor, and an index. A file appears under its name when it is whole and on the disk.
/// Throws kIo; what was begun and not finished is removed.
class FolderWriter {
 public:
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
  };
  /// tensors: names differ.  type: of all, not kOther
  FolderWriter(std::filesystem::path folder, const std::vector<Tensor>& tensors, ValueType type,
               std::int64_t shard_bytes = kDefaultShardBytes);

  /// The next values; kInternal when there are more than were announced.
  void write(std::span<const float> values);
  /// The index, when there are several files. kInternal when values are missing.
  void finish();

 private:
  struct Shard {
    std::string file;
    std::vector<TensorInfo> tensors;
    std::int64_t values = 0;
  };
  void start_shard();
  void end_shard();
  void write_index() const;

  std::filesystem::path folder_;
  ValueType type_;
  std::vector<Shard> shards_;
  std::size_t shard_ = 0;
  std::int64_t left_ = 0;  // values of the shard
  std::optional<PendingFile> file_;
  std::vector<std::byte> bytes_;
};

}  // namespace troupe::storage::safetensors
