#include "storage/memory_snapshots.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "base/log.h"
#include "storage/json_fields.h"
#include "storage/verified_file.h"

namespace troupe::storage {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSharedMemory = "/dev/shm";
constexpr const char* kLabelFile = "label.json";
constexpr std::size_t kMaxLabelBytes = 65536;
constexpr int kCopies = 2;

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    entries.push_back(entry->path());
  std::ranges::sort(entries);
  return entries;
}

bool is_slot(const fs::path& path) { return path.filename().string().starts_with("worker-"); }

std::string to_json(const SnapshotLabel& label) {
  return nlohmann::json{{"identity", label.identity},
                        {"timeline", label.timeline},
                        {"epoch", label.epoch},
                        {"workers", label.workers},
                        {"roll_backs", label.roll_backs}}
      .dump();
}

SnapshotLabel read_label(const fs::path& folder) {
  const nlohmann::json document =
      parse_json(read_file(folder / kLabelFile, kMaxLabelBytes), "a snapshot's label");
  JsonFields fields(document, "label");
  SnapshotLabel label{.identity = fields.text("identity"),
                      .timeline = fields.integer("timeline"),
                      .epoch = fields.integer("epoch"),
                      .workers = fields.integer("workers", 1),
                      .roll_backs = fields.integer("roll_backs")};
  fields.finish();
  return label;
}

/// Steps of which there are slots; those that are written just now, or torn, have none.
std::set<std::int64_t> steps_in(const fs::path& folder) {
  std::set<std::int64_t> steps;
  for (const fs::path& path : entries_of(folder)) {
    if (!is_slot(path)) continue;
    try {
      steps.insert(read_slot(path).step);
    } catch (const Error&) {  // of no use, as is what a worker had not finished
    }
  }
  return steps;
}

std::vector<SlotContent> slots_of(const fs::path& folder, std::int64_t step) {
  std::vector<SlotContent> slots;
  for (const fs::path& path : entries_of(folder)) {
    if (!is_slot(path)) continue;
    try {
      SlotContent slot = read_slot(path);
      if (slot.step == step) slots.push_back(std::move(slot));
    } catch (const Error&) {  // what is missing then is found missing
    }
  }
  return slots;
}

Manifest manifest_of(const fs::path& folder, std::span<const SlotContent> slots) {
  const SnapshotLabel label = read_label(folder);
  if (std::ssize(slots) != label.workers) {
    throw Error(ErrorCode::kCorrupt, "{}: of {} workers, {} hold this step", folder.string(), label.workers,
                slots.size());
  }
  std::vector<ShardDescription> shards;
  for (const SlotContent& slot : slots) shards.push_back(slot.description);
  CheckpointMetadata metadata;
  metadata.timeline = label.timeline;
  metadata.step = slots.front().step;
  metadata.epoch = label.epoch;
  metadata.workers = label.workers;
  Manifest manifest = assemble_manifest(metadata, shards);
  check_manifest(manifest);
  return manifest;
}

bool is_whole(const fs::path& folder, std::int64_t step) {
  try {
    SnapshotReader(folder, step).verify();
    return true;
  } catch (const Error& error) {
    log::warn("the snapshot of step {} in memory is not used: {}", step, error.what());
    return false;
  }
}

void remove_all_but(const fs::path& folder, const std::set<fs::path>& kept) {
  for (const fs::path& path : entries_of(folder))
    if (!kept.contains(path)) remove_tree(path);
}

}  // namespace

SnapshotReader::SnapshotReader(const fs::path& folder, std::int64_t step)
    : SnapshotReader(folder, slots_of(folder, step)) {}

SnapshotReader::SnapshotReader(const fs::path& folder, std::vector<SlotContent> slots)
    : TensorReader(folder, manifest_of(folder, slots)), slots_(std::move(slots)) {
  for (const SlotContent& slot : slots_) {
    std::span<const std::byte> rest = slot.data;
    for (const TensorRange& range : slot.description.ranges) {
      const auto bytes = at(range.count * size_bytes(range.type));  // check_manifest() saw that all fit
      ranges_[{range.name, range.begin}] = rest.first(bytes);
      rest = rest.subspan(bytes);
    }
  }
}

void SnapshotReader::verify() const {
  for (const SlotContent& slot : slots_) {
    if (const auto tensor = slot.damaged())
      throw Error(ErrorCode::kCorrupt, "{}/{}: '{}' was changed", folder().string(),
                  slot.description.file.name, *tensor);
  }
}

void SnapshotReader::read_slice(const TensorEntry& tensor, const TensorSlice& slice, std::int64_t begin,
                                std::span<std::byte> bytes) {
  const auto all = ranges_.at({tensor.name, slice.begin});
  std::ranges::copy(all.subspan(at(begin * size_bytes(tensor.type)), bytes.size()), bytes.begin());
}

MemorySnapshots::MemorySnapshots(const std::string& run)
    : folder_(fs::path(kSharedMemory) / ("troupe-snapshots-" + run)) {}

fs::path MemorySnapshots::begin(const SnapshotLabel& label) const {
  fs::path own = folder_ / fmt::format("epoch-{}", label.epoch);
  remove_tree(own);
  make_folders(own);
  if (::chmod(folder_.c_str(), 0700) != 0) throw io_error("cannot protect " + folder_.string());
  write_file_atomically(own / kLabelFile, to_json(label), 0600);
  return own;
}

std::optional<FoundSnapshot> MemorySnapshots::newest(const std::string& identity,
                                                     std::int64_t last_step) const {
  std::vector<FoundSnapshot> all;
  for (const fs::path& folder : entries_of(folder_)) {
    try {
      const SnapshotLabel label = read_label(folder);
      if (label.identity != identity) continue;
      for (const std::int64_t step : steps_in(folder))
        if (step <= last_step) all.push_back({folder, step, label});
    } catch (const Error& error) {
      log::warn("snapshots in {} are not used: {}", folder.string(), error.what());
    }
  }
  std::ranges::sort(all, std::greater(), [](const FoundSnapshot& one) {
    return std::tuple(one.label.timeline, one.step, one.label.epoch);
  });
  const auto found =
      std::ranges::find_if(all, [](const FoundSnapshot& one) { return is_whole(one.folder, one.step); });
  return found == all.end() ? std::nullopt : std::optional(*found);
}

void MemorySnapshots::keep_only(const std::optional<FoundSnapshot>& kept) const {
  if (!kept) return remove_tree(folder_);
  remove_all_but(folder_, {kept->folder});
  std::set<fs::path> slots{kept->folder / kLabelFile};
  for (const SlotContent& slot : slots_of(kept->folder, kept->step))
    slots.insert(kept->folder / slot.description.file.name);
  remove_all_but(kept->folder, slots);
}

void MemorySnapshots::require_room(std::int64_t state_bytes) const {
  std::error_code error;
  const fs::space_info space = fs::space(kSharedMemory, error);
  if (error)
    throw Error(ErrorCode::kConfig, "checkpoint.snapshot_every needs {}: {}", kSharedMemory, error.message());
  std::int64_t own = 0;
  for (const fs::path& folder : entries_of(folder_))
    for (const fs::path& slot : entries_of(folder))
      if (is_slot(slot)) own += static_cast<std::int64_t>(fs::file_size(slot, error));
  const std::int64_t free = static_cast<std::int64_t>(space.available) + own;
  if (kCopies * state_bytes <= free) return;
  throw Error(
      ErrorCode::kConfig,
      "checkpoint.snapshot_every keeps {} copies of the run's state in {}, {} together, and {} are free "
      "there: make it larger (of a container: --shm-size), or set checkpoint.snapshot_every to 0",
      kCopies, kSharedMemory, readable_bytes(kCopies * state_bytes), readable_bytes(free));
}

void remove_earlier_snapshots(const fs::path& own) { remove_all_but(own.parent_path(), {own}); }

}  // namespace troupe::storage
