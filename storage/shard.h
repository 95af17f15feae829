#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/element_type.h"
#include "storage/verified_file.h"
#include "tensor/shape.h"

namespace troupe::storage {

/// A flat (row-major) element range of a global tensor that this worker holds and saves. Experts are
/// stacked by global expert id: expert e of `layers/03/experts/gate_up_proj` [experts, 2·d, h] is the
/// range that begins at e·2·d·h. Moments are `optimizer/first_moment/<name>` and so on.
/// The workers' ranges together cover every element of every tensor exactly once.
struct TensorShard {
  std::string name;
  ElementType type = ElementType::kF32;  // kF32, kF64 or kI64
  Shape global_shape;
  std::int64_t element_begin = 0;
  std::span<const std::byte> data;  // lives until the shards are written

  template <Element T>
  TensorShard(std::string tensor_name, const Shape& shape, std::int64_t begin, std::span<const T> values)
      : name(std::move(tensor_name)),
        type(element_type_of<T>()),
        global_shape(shape),
        element_begin(begin),
        data(std::as_bytes(values)) {}
};

/// One stored range: dataset `<name>/<begin>` of a worker's file.
struct TensorRange {
  std::string name;
  ElementType type = ElementType::kF32;
  Shape global_shape;
  std::int64_t begin = 0;
  std::int64_t count = 0;  // elements
  Hash128 hash;            // of the elements' bytes
  bool operator==(const TensorRange&) const = default;
};

/// What a worker reports of the file that it wrote; travels as JSON.
struct ShardDescription {
  std::int64_t rank = 0;
  FileDescription file;
  std::vector<TensorRange> ranges;
  bool operator==(const ShardDescription&) const = default;
};

[[nodiscard]] std::string to_json(const ShardDescription& description);
/// kCorrupt, naming the field, unless `json` is exactly what to_json writes.
[[nodiscard]] ShardDescription parse_shard_description(const std::string& json);

/// "worker-00003.h5"
[[nodiscard]] std::string shard_file_name(std::int64_t rank);
/// Dataset of a range that begins at this element.
[[nodiscard]] std::string range_dataset(std::string_view tensor, std::int64_t begin);
/// Tensor names are paths of components of [A-Za-z0-9_.-], none of them "." or "..", at most 255 bytes.
[[nodiscard]] bool valid_tensor_name(std::string_view name);

/// Writes a worker's file of a checkpoint into `folder` (made when missing) and proves that it holds
/// what memory held: every range and the whole file are hashed in memory, written, fsynced, dropped from
/// the page cache, read back and compared. Adjacent ranges of a tensor are stored as one.
/// Free space is checked first. Throws kIo; nothing of the file remains then.
///   on_synced: called between fsync and reading back
[[nodiscard]] ShardDescription write_shard_file(const std::filesystem::path& folder, std::int64_t rank,
                                                std::span<const TensorShard> shards,
                                                const std::function<void()>& on_synced = {});

}  // namespace troupe::storage
