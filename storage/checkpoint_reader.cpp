#include "storage/checkpoint_reader.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

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

hdf5::Dataset open_slice(const hdf5::File& file, const TensorEntry& tensor, const TensorSlice& slice) {
  hdf5::Dataset dataset = file.open_dataset(range_dataset(tensor.name, slice.begin));
  if (dataset.type() == tensor.type && std::ranges::equal(dataset.sizes(), std::span(&slice.count, 1)))
    return dataset;
  throw Error(ErrorCode::kCorrupt, "{}: '{}' is not {} elements of {}, as the manifest says", file.path(),
              dataset.name(), slice.count, to_string(tensor.type));
}

CheckpointReader::CheckpointReader(std::filesystem::path folder, Look look)
    : folder_(std::move(folder)), manifest_(load_manifest(folder_)) {
  if (look == Look::kAtNone) return;
  for (const FileDescription& file : manifest_.files) require_size(folder_, file);
}

std::vector<int> shares_of_files(std::span<const FileDescription> files, int shares) {
  std::vector<std::size_t> largest_first(files.size());
  std::iota(largest_first.begin(), largest_first.end(), 0U);
  std::ranges::stable_sort(largest_first, std::greater(), [&](std::size_t i) { return files[i].size_bytes; });
  using Share = std::pair<std::int64_t, int>;  // bytes, number
  std::priority_queue<Share, std::vector<Share>, std::greater<>> least;
  for (int share = 0; share < shares; ++share) least.emplace(0, share);
  std::vector<int> share_of(files.size());
  for (const std::size_t file : largest_first) {
    const auto [bytes, share] = least.top();
    least.pop();
    share_of[file] = share;
    least.emplace(bytes + files[file].size_bytes, share);
  }
  return share_of;
}

void CheckpointReader::verify_share(int share, int shares) {
  const std::vector<int> share_of = shares_of_files(manifest_.files, shares);
  for (std::size_t file = 0; file < share_of.size(); ++file) {
    if (share_of[file] == share) verify(manifest_.files[file]);
  }
}

void CheckpointReader::verify(const FileDescription& file) {
  require_content(folder_, file);
  bytes_verified_ += file.size_bytes;
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
    bytes_read_ += static_cast<std::int64_t>(part.size());
    bytes = bytes.subspan(part.size());
    begin += count;
  }
}

const hdf5::File& CheckpointReader::verified_file(const std::string& name) {
  const auto open = files_.find(name);
  if (open != files_.end()) return open->second;
  if (!trusted_) verify(*std::ranges::find(manifest_.files, name, &FileDescription::name));
  return files_.emplace(name, hdf5::File::open(folder_ / name)).first->second;
}

}  // namespace troupe::storage
