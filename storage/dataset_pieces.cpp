#include "storage/dataset_pieces.h"

#include <algorithm>
#include <vector>

#include "base/index.h"

namespace troupe::storage {

void for_each_piece(const hdf5::Dataset& dataset,
                    const std::function<void(std::span<const std::byte>)>& body) {
  constexpr std::int64_t kPieceBytes = std::int64_t{4} << 20;
  const std::int64_t bytes = size_bytes(dataset.type());
  const std::int64_t piece_elements = kPieceBytes / bytes;
  std::vector<std::byte> buffer(at(std::min(dataset.elements(), piece_elements) * bytes));
  for (std::int64_t begin = 0; begin < dataset.elements(); begin += piece_elements) {
    const std::int64_t count = std::min(piece_elements, dataset.elements() - begin);
    const auto piece = std::span(buffer).first(at(count * bytes));
    dataset.read_bytes(begin, piece);
    body(piece);
  }
}

Hash128 hash_dataset(const hdf5::Dataset& dataset) {
  Hasher hasher;
  for_each_piece(dataset, [&](std::span<const std::byte> piece) { hasher.update(piece); });
  return hasher.finish();
}

}  // namespace troupe::storage
