#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "storage/file_filler.h"
#include "storage/hdf5/file.h"
#include "storage/shard.h"

namespace troupe::storage {
namespace {

/// What HDF5 adds to a file and to each dataset, generously.
constexpr std::int64_t kFileOverheadBytes = 64 << 10;
constexpr std::int64_t kRangeOverheadBytes = 2 << 10;

/// Shards of one tensor that follow each other without a gap: stored as one dataset.
struct Run {
  std::vector<const TensorShard*> shards;
  TensorRange range;
  std::int64_t offset = 0;  // in the file, in bytes
  [[nodiscard]] std::string dataset() const { return range_dataset(range.name, range.begin); }
};

std::int64_t element_count(const TensorShard& shard) {
  return static_cast<std::int64_t>(shard.data.size()) / size_bytes(shard.type);
}

void check_shard(const TensorShard& shard) {
  TROUPE_CHECK(valid_tensor_name(shard.name), "'{}' cannot name a tensor", shard.name);
  TROUPE_CHECK(
      shard.type == ElementType::kF32 || shard.type == ElementType::kF64 || shard.type == ElementType::kI64,
      "'{}': a checkpoint holds f32, f64 and i64, not {}", shard.name, to_string(shard.type));
  const std::int64_t elements = shard.global_shape.elements();
  TROUPE_CHECK(shard.global_shape.rank() > 0 && shard.element_begin >= 0 && shard.element_begin <= elements &&
                   element_count(shard) <= elements - shard.element_begin,
               "'{}': elements {}+{} of {}", shard.name, shard.element_begin, element_count(shard),
               shard.global_shape.to_string());
}

bool continues(const Run& run, const TensorShard& shard) {
  const TensorRange& range = run.range;
  if (range.name != shard.name) return false;
  TROUPE_CHECK(range.type == shard.type && range.global_shape == shard.global_shape,
               "'{}' has two types or shapes", shard.name);
  TROUPE_CHECK(shard.element_begin >= range.begin + range.count, "'{}': element {} is given twice",
               shard.name, shard.element_begin);
  return shard.element_begin == range.begin + range.count;
}

/// All shards with elements, in (name, begin) order, adjacent ones together.
std::vector<Run> make_runs(std::span<const TensorShard> shards) {
  std::vector<const TensorShard*> sorted;
  for (const TensorShard& shard : shards) {
    check_shard(shard);
    if (!shard.data.empty()) sorted.push_back(&shard);
  }
  std::ranges::sort(sorted, [](const TensorShard* a, const TensorShard* b) {
    return std::tie(a->name, a->element_begin) < std::tie(b->name, b->element_begin);
  });
  std::vector<Run> runs;
  for (const TensorShard* shard : sorted) {
    if (runs.empty() || !continues(runs.back(), *shard)) {
      runs.push_back({{}, {shard->name, shard->type, shard->global_shape, shard->element_begin, 0, {}}, 0});
    }
    runs.back().shards.push_back(shard);
    runs.back().range.count += element_count(*shard);
  }
  return runs;
}

std::int64_t needed_bytes(std::span<const Run> runs) {
  std::int64_t bytes = kFileOverheadBytes;
  for (const Run& run : runs) bytes += kRangeOverheadBytes + run.range.count * size_bytes(run.range.type);
  return bytes;
}

/// Makes the file with all its datasets, which have their places but no content yet.
void make_file(const std::filesystem::path& path, std::span<Run> runs) {
  hdf5::File file = hdf5::File::create(path);
  for (Run& run : runs) {
    run.offset = file.create_dataset(run.dataset(), run.range.type, {&run.range.count, 1}).dataset_offset();
  }
  file.close();
}

/// Writes the datasets' content and fsyncs the file; hashes both.
FileDescription fill_file(const std::filesystem::path& path, std::vector<Run>& runs) {
  std::ranges::sort(runs, {}, &Run::offset);
  FileFiller filler(path);
  for (Run& run : runs) {
    filler.keep_until(run.offset);
    Hasher hasher;
    for (const TensorShard* shard : run.shards) filler.write(shard->data, hasher);
    run.range.hash = hasher.finish();
  }
  return filler.finish();
}

/// The file has the bytes that were hashed in memory, and HDF5 finds every dataset where they lie.
void verify_file(const std::filesystem::path& path, const FileDescription& expected,
                 std::span<const Run> runs) {
  drop_from_cache(path);
  if (describe_file(path) != expected)
    throw Error(ErrorCode::kIo, "{} reads back with other bytes than were written", path.string());
  const hdf5::File file = hdf5::File::open(path);
  for (const Run& run : runs) {
    const hdf5::Dataset dataset = file.open_dataset(run.dataset());
    if (dataset.dataset_offset() == run.offset && dataset.elements() == run.range.count) continue;
    throw Error(ErrorCode::kIo, "{}: '{}' lies elsewhere than it was written", path.string(), run.dataset());
  }
}

}  // namespace

ShardDescription write_shard_file(const std::filesystem::path& folder, std::int64_t rank,
                                  std::span<const TensorShard> shards,
                                  const std::function<void()>& on_synced) {
  std::vector<Run> runs = make_runs(shards);
  make_folders(folder);
  require_free_space(folder, needed_bytes(runs));
  const std::filesystem::path path = folder / shard_file_name(rank);
  remove_tree(path);  // of an attempt that failed
  ShardDescription description{rank, {}, {}};
  try {
    make_file(path, runs);
    description.file = fill_file(path, runs);
    if (on_synced) on_synced();
    verify_file(path, description.file, runs);
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
  for (Run& run : runs) description.ranges.push_back(std::move(run.range));
  return description;
}

}  // namespace troupe::storage
