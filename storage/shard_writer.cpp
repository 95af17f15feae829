#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "storage/dataset_pieces.h"
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
      runs.push_back({{}, {shard->name, shard->type, shard->global_shape, shard->element_begin, 0, {}}});
    }
    runs.back().shards.push_back(shard);
    runs.back().range.count += element_count(*shard);
  }
  return runs;
}

void hash_in_memory(std::vector<Run>& runs) {
  for (Run& run : runs) {
    Hasher hasher;
    for (const TensorShard* shard : run.shards) hasher.update(shard->data);
    run.range.hash = hasher.finish();
  }
}

std::int64_t needed_bytes(std::span<const Run> runs) {
  std::int64_t bytes = kFileOverheadBytes;
  for (const Run& run : runs) bytes += kRangeOverheadBytes + run.range.count * size_bytes(run.range.type);
  return bytes;
}

void write_runs(const std::filesystem::path& path, std::span<const Run> runs) {
  hdf5::File file = hdf5::File::create(path);
  for (const Run& run : runs) {
    hdf5::Dataset dataset = file.create_dataset(range_dataset(run.range.name, run.range.begin),
                                                run.range.type, {&run.range.count, 1});
    std::int64_t begin = 0;
    for (const TensorShard* shard : run.shards) {
      dataset.write_bytes(begin, shard->data);
      begin += element_count(*shard);
    }
  }
  file.close();
}

void compare_with_memory(const std::filesystem::path& path, std::span<const Run> runs) {
  const hdf5::File file = hdf5::File::open(path);
  for (const Run& run : runs) {
    if (hash_dataset(file.open_dataset(range_dataset(run.range.name, run.range.begin))) == run.range.hash)
      continue;
    throw Error(ErrorCode::kIo, "{}: '{}' reads back with other bytes than were written", path.string(),
                run.range.name);
  }
}

}  // namespace

ShardDescription write_shard_file(const std::filesystem::path& folder, std::int64_t rank,
                                  std::span<const TensorShard> shards) {
  std::vector<Run> runs = make_runs(shards);
  hash_in_memory(runs);
  make_folders(folder);
  require_free_space(folder, needed_bytes(runs));
  const std::filesystem::path path = folder / shard_file_name(rank);
  remove_tree(path);  // of an attempt that failed
  ShardDescription description{rank, {}, {}};
  try {
    write_runs(path, runs);
    drop_from_cache(path);
    description.file = describe_file(path);
    compare_with_memory(path, runs);
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
  for (Run& run : runs) description.ranges.push_back(std::move(run.range));
  return description;
}

}  // namespace troupe::storage
