#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "storage/element_type.h"
#include "storage/hdf5/file.h"
#include "storage/manifest.h"

namespace troupe::storage {

/// Reads any element range of a checkpoint's global tensors, however they were sharded. Untrusted
/// input: the manifest is checked when the reader is made, each file's size and hash before HDF5 opens
/// it. Shapes are in tensors(), for the caller to compare before it allocates.
/// One thread (the process' storage thread).
class CheckpointReader {
 public:
  /// kCorrupt or kIo, naming the file, when the manifest is unsound or a file is missing or has
  /// another size.
  explicit CheckpointReader(std::filesystem::path folder);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  [[nodiscard]] std::span<const TensorEntry> tensors() const { return manifest_.tensors; }
  /// kCorrupt, naming it, when the checkpoint has no such tensor.
  [[nodiscard]] const TensorEntry& tensor(std::string_view name) const;

  /// Elements [begin, begin + values.size()); T is the tensor's type: kCorrupt otherwise.
  template <Element T>
  void read(std::string_view name, std::int64_t begin, std::span<T> values) {
    read_bytes(tensor_of_type(name, element_type_of<T>()), begin, std::as_writable_bytes(values));
  }
  /// The same in the tensor's own type.
  void read_bytes(const TensorEntry& tensor, std::int64_t begin, std::span<std::byte> bytes);

 private:
  [[nodiscard]] const TensorEntry& tensor_of_type(std::string_view name, ElementType type) const;
  [[nodiscard]] const hdf5::File& verified_file(const std::string& name);

  std::filesystem::path folder_;
  Manifest manifest_;
  std::map<std::string, hdf5::File> files_;  // verified, open
};

}  // namespace troupe::storage
