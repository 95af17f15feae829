#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace troupe::data {

/// Bytes that arrive in pieces. Not thread-safe.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Fills the beginning of `bytes`, which is not empty; 0: there are no more. kIo, kCorrupt.
  virtual std::size_t read(std::span<char> bytes) = 0;
  /// Bytes of the file that were read so far, packed as they are there.
  [[nodiscard]] virtual std::int64_t consumed_bytes() const = 0;
};

/// The content of a file, unpacked where its first bytes are those of gzip, Zstandard or xz, one or more
/// members; `file` "-" is standard input. Memory does not grow with the file.
[[nodiscard]] std::unique_ptr<ByteStream> open_byte_stream(const std::filesystem::path& file);

}  // namespace troupe::data
