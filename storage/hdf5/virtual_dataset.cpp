#include <vector>

#include "storage/flat_range.h"
#include "storage/hdf5/checked.h"
#include "storage/hdf5/file.h"

namespace troupe::storage::hdf5 {
namespace {

Handle simple_space(std::span<const std::int64_t> sizes, const Action& action) {
  const std::vector<hsize_t> extent(sizes.begin(), sizes.end());
  return checked_handle(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), H5Sclose,
                        action);
}

void select(const Handle& space, const Block& block, const Action& action) {
  const std::vector<hsize_t> start(block.start.begin(), block.start.end());
  const std::vector<hsize_t> count(block.count.begin(), block.count.end());
  check(H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr),
        action);
}

/// Maps one source, box by box: HDF5 pairs elements of both selections in row-major order.
void map_source(const Handle& creation, std::span<const std::int64_t> sizes, const VirtualSource& source,
                const Action& action) {
  const Handle virtual_space = simple_space(sizes, action);
  const Handle source_space = simple_space({&source.count, 1}, action);
  std::int64_t done = 0;
  for (const Block& block : flat_range_blocks(sizes, source.begin, source.count)) {
    select(virtual_space, block, action);
    select(source_space, {{done}, {block.elements()}}, action);
    check(H5Pset_virtual(creation.id(), virtual_space.id(), source.file.c_str(), source.dataset.c_str(),
                         source_space.id()),
          action);
    done += block.elements();
  }
}

}  // namespace

void File::create_virtual_dataset(std::string_view name, ElementType type,
                                  std::span<const std::int64_t> sizes,
                                  std::span<const VirtualSource> sources) {
  const Action action{path_, name, "create"};
  const Handle creation = checked_handle(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, action);
  check(H5Pset_obj_track_times(creation.id(), false), action);
  for (const VirtualSource& source : sources) map_source(creation, sizes, source, action);
  (void)make_dataset(std::string(name), type, sizes, creation);
}

}  // namespace troupe::storage::hdf5
