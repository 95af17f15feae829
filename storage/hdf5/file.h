#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/hdf5/dataset.h"

namespace troupe::storage::hdf5 {

/// A flat element range of a virtual dataset: all elements of a 1-D dataset of another file.
struct VirtualSource {
  std::string file;     // relative to the folder of the virtual file; no '%'
  std::string dataset;  // no '%'
  std::int64_t begin = 0;
  std::int64_t count = 0;
};

/// An HDF5 file. Move-only. HDF5 is used from one thread of a process: the storage thread, or a
/// program's only thread.
///
/// A file that is opened is untrusted: names are reached by hard links only (no soft, external or
/// user-defined links), and a dataset must be contiguous inside this file, unfiltered, of a known
/// element type and no longer than the file; anything else is refused with kCorrupt.
///
/// Names are paths such as "tokens" or "layers/03/router/bias"; groups on the way are created.
/// Creating the same content twice gives the same bytes: no times are stored.
class File {
 public:
  /// A new file; kIo when it exists or cannot be made.
  static File create(const std::filesystem::path& path);
  /// Read-only; kIo when the operating system refuses, kCorrupt when it is not a whole HDF5 file.
  static File open(const std::filesystem::path& path);

  /// A new file in memory only; `name` is for messages. Its bytes are image().
  static File create_in_memory(const std::string& name);

  [[nodiscard]] const std::string& path() const { return path_; }

  /// A new contiguous dataset with its whole space allocated; every element is to be written.
  [[nodiscard]] Dataset create_dataset(std::string_view name, ElementType type,
                                       std::span<const std::int64_t> sizes);
  /// 1-D, with these values.
  template <Element T>
  void write_dataset(std::string_view name, std::span<const T> values) {
    const std::int64_t size = static_cast<std::int64_t>(values.size());
    create_dataset(name, element_type_of<T>(), {&size, 1}).write(0, values);
  }
  /// A dataset whose elements lie in other files; the sources together cover it. Readable by everyone
  /// else's HDF5, but not by open_dataset.
  void create_virtual_dataset(std::string_view name, ElementType type, std::span<const std::int64_t> sizes,
                              std::span<const VirtualSource> sources);
  [[nodiscard]] Dataset open_dataset(std::string_view name) const;
  [[nodiscard]] bool contains(std::string_view name) const;

  /// Attributes of a dataset or group; `object` "/" is the file itself.
  void set_attribute(std::string_view object, const std::string& name, std::int64_t value);
  void set_attribute(std::string_view object, const std::string& name, std::string_view value);
  [[nodiscard]] std::int64_t integer_attribute(std::string_view object, const std::string& name) const;
  [[nodiscard]] std::string string_attribute(std::string_view object, const std::string& name) const;

  /// Writes everything out, closes, and makes a created file durable (fsync). All its datasets are
  /// gone by then. To be called after writing: a destructor cannot report a failure.
  void close();
  /// All bytes of the file as it stands.
  [[nodiscard]] std::vector<std::byte> image() const;

 private:
  File(Handle handle, std::string path, bool created);
  [[nodiscard]] Handle make_dataset(const std::string& name, ElementType type,
                                    std::span<const std::int64_t> sizes, const Handle& creation);
  [[nodiscard]] Handle open_object(std::string_view name, std::string_view verb) const;

  Handle handle_;
  std::string path_;
  bool created_ = false;
};

}  // namespace troupe::storage::hdf5
