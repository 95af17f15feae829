#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/snapshot_slot.h"
#include "storage/tensor_reader.h"

namespace troupe::storage {

/// What the snapshots of one start of workers are of.
struct SnapshotLabel {
  std::string identity;  // of the run, as far as its bits depend on it: text, opaque to storage
  std::int64_t timeline = 0;
  std::int64_t epoch = 0;
  std::int64_t workers = 1;
  std::int64_t roll_backs = 0;
  bool operator==(const SnapshotLabel&) const = default;
};

/// A snapshot that is whole.
struct FoundSnapshot {
  std::filesystem::path folder;  // of the workers that took it
  std::int64_t step = 0;
  SnapshotLabel label;
};

/// Reads a memory snapshot into any layout, as a checkpoint is read.
class SnapshotReader final : public TensorReader {
 public:
  /// kCorrupt, saying what is missing, unless the slots of this step cover every tensor.
  SnapshotReader(const std::filesystem::path& folder, std::int64_t step);
  /// kCorrupt, naming slot and tensor, unless every byte is as it was copied.
  void verify() const;

 private:
  SnapshotReader(const std::filesystem::path& folder, std::vector<SlotContent> slots);
  void read_slice(const TensorEntry& tensor, const TensorSlice& slice, std::int64_t begin,
                  std::span<std::byte> bytes) override;

  std::vector<SlotContent> slots_;
  std::map<std::pair<std::string, std::int64_t>, std::span<const std::byte>> ranges_;  // by tensor and begin
};

/// The memory snapshots of one run on this machine: a folder of shared memory with a folder for each start of
/// workers, of two slots for each of them. They outlive the workers and their coordinator. Only the holder of
/// the run folder's lock may use it.
class MemorySnapshots {
 public:
  /// run: a name of the run that no other ever had
  explicit MemorySnapshots(const std::string& run);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  /// Makes the folder that workers of a new epoch write to.
  std::filesystem::path begin(const SnapshotLabel& label) const;
  /// The newest whole one of this identity, by (timeline, step), at most of `last_step`. One that is torn or
  /// changed is passed over, with a warning.
  [[nodiscard]] std::optional<FoundSnapshot> newest(const std::string& identity,
                                                    std::int64_t last_step) const;
  /// Removes all else; with none, everything.
  void keep_only(const std::optional<FoundSnapshot>& kept) const;
  /// kConfig unless there is room for two copies of a run's state, with what is there already.
  void require_room(std::int64_t state_bytes) const;

 private:
  std::filesystem::path folder_;
};

/// Removes what earlier epochs of the run left, but for `own`, a folder that begin() returned.
void remove_earlier_snapshots(const std::filesystem::path& own);

}  // namespace troupe::storage
