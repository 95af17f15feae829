#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "storage/shard.h"

namespace troupe::storage {

/// A file mapped into memory: it outlives this process, not this machine's next start where it lies in
/// /dev/shm. Move-only.
class MappedFile {
 public:
  MappedFile() = default;
  /// Takes over a mapping.
  explicit MappedFile(std::span<std::byte> mapped) : bytes_(mapped) {}
  /// What is there, to be read. kIo.
  [[nodiscard]] static MappedFile open(const std::filesystem::path& path);
  /// A new file of this size whose memory is taken now: kIo where there is too little, and no fault later.
  [[nodiscard]] static MappedFile create(const std::filesystem::path& path, std::size_t bytes);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

/// One worker's part of a memory snapshot: a header, the shards' bytes one after the other, and what a
/// checkpoint says of a worker's file (ShardDescription, with a hash of each range). Whatever a worker that
/// dies in the middle leaves is no slot: the header is written last, and everything is hashed.
class SnapshotSlot {
 public:
  /// Nothing is made before the first write.
  explicit SnapshotSlot(std::filesystem::path path) : path_(std::move(path)) {}

  /// Memory for the next snapshot's shards; the slot is none until finish(). kIo where there is no room.
  [[nodiscard]] std::span<std::byte> begin(std::size_t bytes, std::size_t ranges);
  /// ranges: of what was copied there, in order
  void finish(std::int64_t rank, std::int64_t step, std::vector<TensorRange> ranges);

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::size_t bytes_ = 0;
};

/// A slot as it is read.
struct SlotContent {
  MappedFile file;
  std::int64_t step = 0;
  ShardDescription description;
  std::span<const std::byte> data;  // of the ranges, one after the other

  /// The first range whose bytes are not those that were copied, by its tensor's name; none: all are.
  [[nodiscard]] std::optional<std::string> damaged() const;
};

/// kCorrupt or kIo, naming the file, when it is no slot; the data are not looked at.
[[nodiscard]] SlotContent read_slot(const std::filesystem::path& path);

/// "worker-00001-0": two of each worker, written in turn.
[[nodiscard]] std::string slot_name(std::int64_t rank, int parity);

}  // namespace troupe::storage
