#include "storage/hdf5/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <limits>
#include <utility>

#include "base/file.h"
#include "base/index.h"
#include "storage/hdf5/checked.h"
#include "storage/hdf5/links.h"

namespace troupe::storage::hdf5 {
namespace {

Handle file_access(const Action& action) {
  Handle access = checked_handle(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, action);
  // Refuse to close while a dataset is open: its data could come after the fsync.
  check(H5Pset_fclose_degree(access.id(), H5F_CLOSE_SEMI), action);
  // The run folder has its own lock; HDF5's fails on some network file systems.
  check(H5Pset_file_locking(access.id(), false, true), action);
  // Small writes go to the file at once: H5Dwrite reports a full disk, flushing does not.
  check(H5Pset_sieve_buf_size(access.id(), 0), action);
  return access;
}

Handle dataset_creation(const Action& action) {
  Handle creation = checked_handle(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, action);
  check(H5Pset_layout(creation.id(), H5D_CONTIGUOUS), action);
  check(H5Pset_alloc_time(creation.id(), H5D_ALLOC_TIME_EARLY), action);
  check(H5Pset_fill_time(creation.id(), H5D_FILL_TIME_NEVER), action);
  check(H5Pset_obj_track_times(creation.id(), false), action);
  return creation;
}

ElementType element_type(const Handle& dataset, const Action& action) {
  const Handle type = checked_handle(H5Dget_type(dataset.id()), H5Tclose, action);
  for (const ElementType known :
       {ElementType::kF32, ElementType::kF64, ElementType::kI32, ElementType::kI64, ElementType::kU16}) {
    if (check(H5Tequal(type.id(), file_type(known)), action) > 0) return known;
  }
  throw corrupt(action, "its element type is none of f32, f64, i32, i64, u16");
}

std::vector<std::int64_t> dataset_sizes(const Handle& dataset, const Action& action) {
  const Handle space = checked_handle(H5Dget_space(dataset.id()), H5Sclose, action);
  if (H5Sget_simple_extent_type(space.id()) != H5S_SIMPLE) throw corrupt(action, "it has no sizes");
  hsize_t sizes[H5S_MAX_RANK];
  const int rank = check(H5Sget_simple_extent_dims(space.id(), sizes, nullptr), action);
  return {sizes, sizes + rank};
}

void require_plain_storage(const Handle& dataset, const Action& action) {
  const Handle creation = checked_handle(H5Dget_create_plist(dataset.id()), H5Pclose, action);
  if (check(H5Pget_external_count(creation.id()), action) > 0)
    throw corrupt(action, "its data lie in another file");
  if (check(H5Pget_layout(creation.id()), action) != H5D_CONTIGUOUS)
    throw corrupt(action, "it is not contiguous");
  if (check(H5Pget_nfilters(creation.id()), action) > 0)
    throw corrupt(action, "it is compressed or filtered");
}

/// The product of the sizes in bytes fits the file: nobody allocates what a header merely claims.
void require_inside_file(const Handle& file, const Handle& dataset, std::span<const std::int64_t> sizes,
                         ElementType type, const Action& action) {
  hsize_t file_bytes = 0;
  check(H5Fget_filesize(file.id(), &file_bytes), action);
  std::uint64_t bytes = static_cast<std::uint64_t>(size_bytes(type));
  for (const std::int64_t size : sizes) {
    if (size < 0 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes)) {
      throw corrupt(action, "its sizes overflow");
    }
  }
  if (bytes == 0) return;
  const haddr_t offset = H5Dget_offset(dataset.id());
  if (offset == HADDR_UNDEF || H5Dget_storage_size(dataset.id()) != bytes)
    throw corrupt(action, "it has no data");
  if (offset > file_bytes || bytes > file_bytes - offset)
    throw corrupt(action, "its data end after the file");
}

void sync_file(const std::string& path) {
  const FileDescriptor file = FileDescriptor::open(path, O_RDONLY);
  if (::fsync(file.get()) != 0) throw io_error("cannot fsync " + path);
}

}  // namespace

File::File(Handle handle, std::string path, bool created)
    : handle_(std::move(handle)), path_(std::move(path)), created_(created) {}

File File::create(const std::filesystem::path& path) {
  silence_error_printing();
  const std::string name = path.string();
  const Action action{name, "", "create"};
  const Handle access = file_access(action);
  return {checked_handle(H5Fcreate(name.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, access.id()), H5Fclose, action),
          name, true};
}

File File::open(const std::filesystem::path& path) {
  silence_error_printing();
  const std::string name = path.string();
  const Action action{name, "", "open", ErrorCode::kCorrupt};
  const Handle access = file_access(action);
  return {checked_handle(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose, action), name, false};
}

File File::create_in_memory(const std::string& name) {
  silence_error_printing();
  const Action action{name, "", "create"};
  const Handle access = file_access(action);
  check(H5Pset_fapl_core(access.id(), std::size_t{1} << 16, false), action);
  return {checked_handle(H5Fcreate(name.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, access.id()), H5Fclose, action),
          name, false};
}

Handle File::make_dataset(const std::string& name, ElementType type, std::span<const std::int64_t> sizes,
                          const Handle& creation) {
  const Action action{path_, name, "create"};
  require_object_name(name, action);
  const std::vector<hsize_t> extent(sizes.begin(), sizes.end());
  const Handle space = checked_handle(
      H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), H5Sclose, action);
  const Handle links = checked_handle(H5Pcreate(H5P_LINK_CREATE), H5Pclose, action);
  check(H5Pset_create_intermediate_group(links.id(), 1), action);
  return checked_handle(H5Dcreate2(handle_.id(), name.c_str(), file_type(type), space.id(), links.id(),
                                   creation.id(), H5P_DEFAULT),
                        H5Dclose, action);
}

Dataset File::create_dataset(std::string_view name, ElementType type, std::span<const std::int64_t> sizes) {
  const std::string path(name);
  const Handle creation = dataset_creation({path_, name, "create"});
  return {make_dataset(path, type, sizes, creation), path_, path, type, {sizes.begin(), sizes.end()}};
}

Dataset File::open_dataset(std::string_view name) const {
  const Action action{path_, name, "open", ErrorCode::kCorrupt};
  require_hard_links(handle_, name, action);
  const std::string path(name);
  Handle dataset = checked_handle(H5Dopen2(handle_.id(), path.c_str(), H5P_DEFAULT), H5Dclose, action);
  require_plain_storage(dataset, action);
  const ElementType type = element_type(dataset, action);
  std::vector<std::int64_t> sizes = dataset_sizes(dataset, action);
  require_inside_file(handle_, dataset, sizes, type, action);
  return {std::move(dataset), path_, path, type, std::move(sizes)};
}

bool File::contains(std::string_view name) const {
  return links_exist(handle_, name, {path_, name, "look up", ErrorCode::kCorrupt});
}

void File::close() {
  const Action action{path_, "", "close"};
  if (!handle_.valid()) return;
  check(H5Fflush(handle_.id(), H5F_SCOPE_LOCAL), action);
  if (!handle_.close()) throw stack_error(action);
  if (created_) sync_file(path_);
}

std::vector<std::byte> File::image() const {
  const Action action{path_, "", "copy"};
  check(H5Fflush(handle_.id(), H5F_SCOPE_LOCAL), action);
  std::vector<std::byte> bytes(at(check(H5Fget_file_image(handle_.id(), nullptr, 0), action)));
  check(H5Fget_file_image(handle_.id(), bytes.data(), bytes.size()), action);
  return bytes;
}

}  // namespace troupe::storage::hdf5
