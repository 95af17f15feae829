#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/safetensors/values.h"

namespace troupe::storage::safetensors {

// The format: 8 bytes, the header's length (little-endian); the header, a JSON object
//   {"NAME": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [begin, end]}, …, "__metadata__": {…}}
// padded with spaces; then the data, where the offsets count from.

inline constexpr std::int64_t kLengthBytes = 8;
inline constexpr std::int64_t kMaximumHeaderBytes = std::int64_t{100}
                                                    << 20;  // as the format's own reader has it
inline constexpr std::size_t kMaximumRank = 8;

/// A tensor of a file.
struct TensorInfo {
  std::string name;
  ValueType type = ValueType::kF32;
  std::string type_name;  // as the file has it
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0;  // in the file, in bytes, as the next
  std::int64_t end = 0;

  [[nodiscard]] std::int64_t elements() const;
  bool operator==(const TensorInfo&) const = default;
};

/// "[3, 4]"
[[nodiscard]] std::string shape_text(const std::vector<std::int64_t>& shape);

/// The header's length, as the first bytes of a file of `file_bytes` say; kCorrupt, naming `file`, when it
/// cannot be.
[[nodiscard]] std::int64_t header_length(std::string_view first_bytes, std::int64_t file_bytes,
                                         const std::string& file);

/// The tensors of a header, by where they begin. The header is not trusted: kCorrupt, naming the file and the
/// place, unless it is the JSON above, of known types, each extent is what type and shape say, lies inside
/// the file, and overlaps no other.
[[nodiscard]] std::vector<TensorInfo> parse_header(std::string_view header, std::int64_t file_bytes,
                                                   const std::string& file);

/// The header of tensors whose data follow each other, with its length in front, padded so that data begin at
/// a multiple of 8 bytes; sets `begin` and `end`.
[[nodiscard]] std::string make_header(std::vector<TensorInfo>& tensors);

}  // namespace troupe::storage::safetensors
