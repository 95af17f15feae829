#include "storage/checkpoint_reader.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

#include "base/error.h"
#include "base/index.h"

namespace troupe::storage {

hdf5::Dataset open_slice(const hdf5::File& file, const TensorEntry& tensor, const TensorSlice& slice) {
  hdf5::Dataset dataset = file.open_dataset(range_dataset(tensor.name, slice.begin));
  if (dataset.type() == tensor.type && std::ranges::equal(dataset.sizes(), std::span(&slice.count, 1)))
    return dataset;
  throw Error(ErrorCode::kCorrupt, "{}: '{}' is not {} elements of {}, as the manifest says", file.path(),
              dataset.name(), slice.count, to_string(tensor.type));
}

CheckpointReader::CheckpointReader(const std::filesystem::path& folder, Look look)
    : TensorReader(folder, load_manifest(folder)) {
  if (look == Look::kAtNone) return;
  for (const FileDescription& file : manifest().files) require_size(folder, file);
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
  const std::vector<int> share_of = shares_of_files(manifest().files, shares);
  for (std::size_t file = 0; file < share_of.size(); ++file) {
    if (share_of[file] == share) verify(manifest().files[file]);
  }
}

void CheckpointReader::verify(const FileDescription& file) {
  require_content(folder(), file);
  bytes_verified_ += file.size_bytes;
}

void CheckpointReader::read_slice(const TensorEntry& tensor, const TensorSlice& slice, std::int64_t begin,
                                  std::span<std::byte> bytes) {
  open_slice(verified_file(slice.file), tensor, slice).read_bytes(begin, bytes);
  bytes_read_ += static_cast<std::int64_t>(bytes.size());
}

const hdf5::File& CheckpointReader::verified_file(const std::string& name) {
  const auto open = files_.find(name);
  if (open != files_.end()) return open->second;
  if (!trusted_) verify(*std::ranges::find(manifest().files, name, &FileDescription::name));
  return files_.emplace(name, hdf5::File::open(folder() / name)).first->second;
}

}  // namespace troupe::storage
