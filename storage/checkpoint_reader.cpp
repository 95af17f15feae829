#include "storage/checkpoint_reader.h"

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

hdf5::Dataset open_slice(const hdf5::File& file, const TensorEntry& tensor, const TensorSlice& slice) {
  hdf5::Dataset dataset = file.open_dataset(range_dataset(tensor.name, slice.begin));
  if (dataset.type() == tensor.type && std::ranges::equal(dataset.sizes(), std::span(&slice.count, 1)))
    return dataset;
  throw Error(ErrorCode::kCorrupt, "{}: '{}' is not {} elements of {}, as the manifest says", file.path(),
              dataset.name(), slice.count, to_string(tensor.type));
}

}  // namespace

CheckpointReader::CheckpointReader(std::filesystem::path folder)
    : folder_(std::move(folder)), manifest_(load_manifest(folder_)) {
  for (const FileDescription& file : manifest_.files) require_size(folder_, file);
}

const TensorEntry& CheckpointReader::tensor(std::string_view name) const {
  const TensorEntry* found = manifest_.find(name);
  if (found == nullptr) throw Error(ErrorCode::kCorrupt, "{} has no tensor '{}'", folder_.string(), name);
  return *found;
}

const TensorEntry& CheckpointReader::tensor_of_type(std::string_view name, ElementType type) const {
  const TensorEntry& found = tensor(name);
  if (found.type == type) return found;
  throw Error(ErrorCode::kCorrupt, "{}: '{}' holds {}, not {}", folder_.string(), name, to_string(found.type),
              to_string(type));
}

void CheckpointReader::read_bytes(const TensorEntry& tensor, std::int64_t begin, std::span<std::byte> bytes) {
  const std::int64_t element_bytes = size_bytes(tensor.type);
  const std::int64_t end = begin + static_cast<std::int64_t>(bytes.size()) / element_bytes;
  TROUPE_CHECK(begin >= 0 && end <= tensor.shape.elements(), "'{}': elements {}..{} of {}", tensor.name,
               begin, end, tensor.shape.to_string());
  for (auto slice = slice_at(tensor, begin); begin < end; ++slice) {
    const std::int64_t count = std::min(end, slice->begin + slice->count) - begin;
    const auto part = bytes.first(at(count * element_bytes));
    open_slice(verified_file(slice->file), tensor, *slice).read_bytes(begin - slice->begin, part);
    bytes = bytes.subspan(part.size());
    begin += count;
  }
}

const hdf5::File& CheckpointReader::verified_file(const std::string& name) {
  const auto open = files_.find(name);
  if (open != files_.end()) return open->second;
  const auto description = std::ranges::find(manifest_.files, name, &FileDescription::name);
  require_content(folder_, *description);
  return files_.emplace(name, hdf5::File::open(folder_ / name)).first->second;
}

}  // namespace troupe::storage
