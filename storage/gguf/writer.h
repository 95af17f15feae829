#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "storage/pending_file.h"
#include "storage/safetensors/values.h"

namespace troupe::storage::gguf {

// The format, version 3 (github.com/ggml-org/ggml, docs/gguf.md), all little-endian: "GGUF", the version, the
// numbers of tensors and of metadata; the metadata, each a key, a type and a value; for each tensor its name,
// its sizes (fastest first), its type and where its data begin; then the data, each tensor's at a multiple of
// 32 bytes.

using safetensors::ValueType;

/// A value of the metadata.
using Value = std::variant<bool, std::uint32_t, float, std::string, std::vector<std::int32_t>,
                           std::vector<std::string>>;
using Metadata = std::vector<std::pair<std::string, Value>>;

/// What a tensor will be. Its values come row by row, as everywhere.
struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape;  // slowest first
  ValueType type = ValueType::kF32;
};

/// Writes a file's tensors one after another, in the order in which they were announced, from pieces of any
/// size: never more than a piece is in memory. The file appears under its name when it is whole and on the
/// disk. Throws kIo; what was begun and not finished is removed.
class Writer {
 public:
  /// tensors: names differ, 1 to 4 sizes each, no type kOther
  Writer(std::filesystem::path file, const Metadata& metadata, std::vector<Tensor> tensors);

  /// The next values; kInternal when there are more than were announced.
  void write(std::span<const float> values);
  /// kInternal when values are missing.
  void finish();

 private:
  void next_tensor();

  std::filesystem::path path_;
  std::vector<Tensor> tensors_;
  std::size_t tensor_ = 0;
  std::int64_t left_ = 0;  // values of the tensor
  std::optional<PendingFile> file_;
  std::vector<std::byte> bytes_;
};

}  // namespace troupe::storage::gguf
