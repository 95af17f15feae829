#include "storage/hdf5/dataset.h"

#include <functional>
#include <numeric>
#include <utility>

#include "base/index.h"
#include "storage/flat_range.h"
#include "storage/hdf5/checked.h"

namespace troupe::storage::hdf5 {
namespace {

std::vector<hsize_t> to_hsize(std::span<const std::int64_t> sizes) { return {sizes.begin(), sizes.end()}; }

void select_block(const Handle& space, const Block& block, const Action& action) {
  const auto start = to_hsize(block.start);
  const auto count = to_hsize(block.count);
  check(H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr),
        action);
}

Handle memory_space(std::int64_t elements, const Action& action) {
  const auto size = static_cast<hsize_t>(elements);
  return checked_handle(H5Screate_simple(1, &size, nullptr), H5Sclose, action);
}

}  // namespace

Dataset::Dataset(Handle handle, std::string file, std::string name, ElementType type,
                 std::vector<std::int64_t> sizes)
    : handle_(std::move(handle)),
      file_(std::move(file)),
      name_(std::move(name)),
      type_(type),
      sizes_(std::move(sizes)) {}

std::int64_t Dataset::elements() const {
  return std::accumulate(sizes_.begin(), sizes_.end(), std::int64_t{1}, std::multiplies<>{});
}

void Dataset::require_type(ElementType type) const {
  if (type == type_) return;
  throw Error(ErrorCode::kCorrupt, "{}: '{}' holds {}, not {}", file_, name_, to_string(type_),
              to_string(type));
}

void Dataset::write_bytes(std::int64_t begin, std::span<const std::byte> bytes) {
  const Action action{file_, name_, "write"};
  const std::int64_t count = static_cast<std::int64_t>(bytes.size()) / size_bytes(type_);
  const Handle space = checked_handle(H5Dget_space(handle_.id()), H5Sclose, action);
  for (const Block& block : flat_range_blocks(sizes_, begin, count)) {
    select_block(space, block, action);
    const Handle memory = memory_space(block.elements(), action);
    check(H5Dwrite(handle_.id(), file_type(type_), memory.id(), space.id(), H5P_DEFAULT, bytes.data()),
          action);
    bytes = bytes.subspan(at(block.elements() * size_bytes(type_)));
  }
}

void Dataset::read_bytes(std::int64_t begin, std::span<std::byte> bytes) const {
  const Action action{file_, name_, "read", ErrorCode::kCorrupt};
  const std::int64_t count = static_cast<std::int64_t>(bytes.size()) / size_bytes(type_);
  const Handle space = checked_handle(H5Dget_space(handle_.id()), H5Sclose, action);
  for (const Block& block : flat_range_blocks(sizes_, begin, count)) {
    select_block(space, block, action);
    const Handle memory = memory_space(block.elements(), action);
    check(H5Dread(handle_.id(), file_type(type_), memory.id(), space.id(), H5P_DEFAULT, bytes.data()),
          action);
    bytes = bytes.subspan(at(block.elements() * size_bytes(type_)));
  }
}

std::int64_t Dataset::dataset_offset() const {
  const Action action{file_, name_, "find the data", ErrorCode::kCorrupt};
  const haddr_t offset = H5Dget_offset(handle_.id());
  if (offset == HADDR_UNDEF) throw corrupt(action, "no space is allocated for it");
  return static_cast<std::int64_t>(offset);
}

}  // namespace troupe::storage::hdf5
