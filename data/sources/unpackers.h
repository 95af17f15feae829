#pragma once
// Private to data/sources/*.cpp: zlib, libzstd and liblzma behind one interface.
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace troupe::data {

/// Packed bytes, piece by piece.
class PieceSource {
 public:
  virtual ~PieceSource() = default;
  /// Valid until the next call; empty at the end.
  virtual std::string_view next() = 0;
  /// For messages.
  [[nodiscard]] virtual const std::string& name() const = 0;
};

class Unpacker {
 public:
  virtual ~Unpacker() = default;
  /// Fills the beginning of `bytes`; 0 at the end. kCorrupt for damaged data, and for data that ends too
  /// early.
  virtual std::size_t read(std::span<char> bytes) = 0;
};

/// All take any number of members, one after the other. The source outlives them.
[[nodiscard]] std::unique_ptr<Unpacker> make_gzip_unpacker(PieceSource& source);
[[nodiscard]] std::unique_ptr<Unpacker> make_zstd_unpacker(PieceSource& source);
[[nodiscard]] std::unique_ptr<Unpacker> make_xz_unpacker(PieceSource& source);

}  // namespace troupe::data
