#include "storage/tensor_reader.h"

#include <algorithm>

#include "base/error.h"
#include "base/index.h"

namespace troupe::storage {
namespace {

/// The first slice that ends after `begin`.
auto slice_at(const TensorEntry& tensor, std::int64_t begin) {
  return std::ranges::partition_point(
      tensor.slices, [&](const TensorSlice& slice) { return slice.begin + slice.count <= begin; });
}

}  // namespace

const TensorEntry& TensorReader::tensor(std::string_view name) const {
  const TensorEntry* found = manifest_.find(name);
  if (found == nullptr) throw Error(ErrorCode::kCorrupt, "{} has no tensor '{}'", folder_.string(), name);
  return *found;
}

const TensorEntry& TensorReader::tensor_of_type(std::string_view name, ElementType type) const {
  const TensorEntry& found = tensor(name);
  if (found.type == type) return found;
  throw Error(ErrorCode::kCorrupt, "{}: '{}' holds {}, not {}", folder_.string(), name, to_string(found.type),
              to_string(type));
}

void TensorReader::read_bytes(const TensorEntry& tensor, std::int64_t begin, std::span<std::byte> bytes) {
  const std::int64_t element_bytes = size_bytes(tensor.type);
  const std::int64_t end = begin + static_cast<std::int64_t>(bytes.size()) / element_bytes;
  TROUPE_CHECK(begin >= 0 && end <= tensor.shape.elements(), "'{}': elements {}..{} of {}", tensor.name,
               begin, end, tensor.shape.to_string());
  for (auto slice = slice_at(tensor, begin); begin < end; ++slice) {
    const std::int64_t count = std::min(end, slice->begin + slice->count) - begin;
    const auto part = bytes.first(at(count * element_bytes));
    read_slice(tensor, *slice, begin - slice->begin, part);
    bytes = bytes.subspan(part.size());
    begin += count;
  }
}

}  // namespace troupe::storage
