#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "storage/element_type.h"
#include "storage/hdf5/handle.h"

namespace troupe::storage::hdf5 {

/// A contiguous, unfiltered dataset of one element type, written and read in pieces that are flat
/// (row-major) element ranges. Its size is fixed when it is created. Made by File, which it must not
/// outlive. Errors name the file and the dataset: kIo, kCorrupt, or kInternal for a range outside.
class Dataset {
 public:
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] ElementType type() const { return type_; }
  [[nodiscard]] std::span<const std::int64_t> sizes() const { return sizes_; }
  [[nodiscard]] std::int64_t elements() const;

  /// Elements [begin, begin + values.size()). T is the dataset's own type: kCorrupt otherwise.
  template <Element T>
  void write(std::int64_t begin, std::span<const T> values) {
    require_type(element_type_of<T>());
    write_bytes(begin, std::as_bytes(values));
  }
  template <Element T>
  void read(std::int64_t begin, std::span<T> values) const {
    require_type(element_type_of<T>());
    read_bytes(begin, std::as_writable_bytes(values));
  }

  /// The same in the dataset's own element type; bytes.size() is a multiple of its size.
  void write_bytes(std::int64_t begin, std::span<const std::byte> bytes);
  void read_bytes(std::int64_t begin, std::span<std::byte> bytes) const;

  /// Byte in the file where element 0 lies: element i is at dataset_offset() + i · size, for pread.
  [[nodiscard]] std::int64_t dataset_offset() const;

 private:
  friend class File;
  Dataset(Handle handle, std::string file, std::string name, ElementType type,
          std::vector<std::int64_t> sizes);
  void require_type(ElementType type) const;

  Handle handle_;
  std::string file_;
  std::string name_;
  ElementType type_;
  std::vector<std::int64_t> sizes_;
};

}  // namespace troupe::storage::hdf5
