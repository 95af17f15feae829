#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "storage/safetensors/header.h"

namespace troupe::storage::safetensors {

/// `rows` times `columns` values of a tensor: value (r, c) is number begin + r · row_stride + c ·
/// column_stride of its row-major values.
struct Slice {
  std::int64_t begin = 0;
  std::int64_t rows = 1;
  std::int64_t columns = 0;
  std::int64_t row_stride = 0;
  std::int64_t column_stride = 1;
  [[nodiscard]] std::int64_t elements() const { return rows * columns; }
  bool operator==(const Slice&) const = default;
};

/// A safetensors file, mapped into memory: only what is read of it comes from the disk. Its header is checked
/// when it is opened (header.h). The file must not change while it is open. Move-only.
class File {
 public:
  /// kIo, kCorrupt.
  static File open(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::span<const TensorInfo> tensors() const { return tensors_; }

  /// A slice of one of tensors(), in rows. kCorrupt for values that are not floating point of 16 or 32 bits;
  /// kInternal for a slice that does not lie in it.
  ///   values: [rows * columns]
  void read(const TensorInfo& tensor, const Slice& slice, std::span<float> values) const;

 private:
  struct Unmap {
    std::size_t size;
    void operator()(const std::byte* begin) const;
  };
  File(std::filesystem::path path, std::unique_ptr<const std::byte, Unmap> bytes,
       std::vector<TensorInfo> tensors)
      : path_(std::move(path)), bytes_(std::move(bytes)), tensors_(std::move(tensors)) {}

  void let_go(std::int64_t begin, std::int64_t end) const;

  std::filesystem::path path_;
  std::unique_ptr<const std::byte, Unmap> bytes_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace troupe::storage::safetensors
