#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "storage/element_type.h"
#include "storage/manifest.h"

namespace troupe::storage {

/// Reads any element range of a run's global tensors, however they were sharded and wherever they lie: in a
/// checkpoint's files, or in slots of shared memory.
class TensorReader {
 public:
  virtual ~TensorReader() = default;

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  [[nodiscard]] std::span<const TensorEntry> tensors() const { return manifest_.tensors; }
  /// kCorrupt, naming it, when there is no such tensor.
  [[nodiscard]] const TensorEntry& tensor(std::string_view name) const;

  /// Elements [begin, begin + values.size()); T is the tensor's type: kCorrupt otherwise.
  template <Element T>
  void read(std::string_view name, std::int64_t begin, std::span<T> values) {
    read_bytes(tensor_of_type(name, element_type_of<T>()), begin, std::as_writable_bytes(values));
  }
  /// The same in the tensor's own type.
  void read_bytes(const TensorEntry& tensor, std::int64_t begin, std::span<std::byte> bytes);

 protected:
  /// manifest: checked
  TensorReader(std::filesystem::path folder, Manifest manifest)
      : folder_(std::move(folder)), manifest_(std::move(manifest)) {}
  TensorReader(const TensorReader&) = default;
  TensorReader& operator=(const TensorReader&) = default;
  TensorReader(TensorReader&&) = default;
  TensorReader& operator=(TensorReader&&) = default;

 private:
  /// Elements from `begin` of the slice on.
  virtual void read_slice(const TensorEntry& tensor, const TensorSlice& slice, std::int64_t begin,
                          std::span<std::byte> bytes) = 0;
  [[nodiscard]] const TensorEntry& tensor_of_type(std::string_view name, ElementType type) const;

  std::filesystem::path folder_;
  Manifest manifest_;
};

}  // namespace troupe::storage
