#include "data/sources/unpackers.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdint>

#include "base/error.h"

namespace troupe::data {
namespace {

Error damaged(const PieceSource& source, std::string_view format, std::string_view reason) {
  return Error(ErrorCode::kCorrupt, "{}: damaged {} data: {}", source.name(), format, reason);
}

constexpr std::string_view kEndsTooEarly = "it ends too early";

class GzipUnpacker final : public Unpacker {
 public:
  explicit GzipUnpacker(PieceSource& source) : source_(source) {
    constexpr int kGzipOnly = 16;
    if (::inflateInit2(&stream_, MAX_WBITS + kGzipOnly) != Z_OK)
      throw Error(ErrorCode::kInternal, "inflateInit2");
  }
  GzipUnpacker(const GzipUnpacker&) = delete;
  GzipUnpacker& operator=(const GzipUnpacker&) = delete;
  ~GzipUnpacker() override { ::inflateEnd(&stream_); }

  std::size_t read(std::span<char> bytes) override {
    stream_.next_out = reinterpret_cast<Bytef*>(bytes.data());
    stream_.avail_out = static_cast<uInt>(bytes.size());
    while (stream_.avail_out == bytes.size() && feed()) inflate();
    return bytes.size() - stream_.avail_out;
  }

 private:
  /// False at the end of all members.
  bool feed() {
    if (stream_.avail_in > 0) return true;
    piece_ = source_.next();
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece_.data()));
    stream_.avail_in = static_cast<uInt>(piece_.size());
    if (piece_.empty() && in_member_) throw damaged(source_, "gzip", kEndsTooEarly);
    return !piece_.empty();
  }

  void inflate() {
    in_member_ = true;
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    if (status == Z_OK) return;
    if (status != Z_STREAM_END)
      throw damaged(source_, "gzip", stream_.msg != nullptr ? stream_.msg : "not gzip");
    in_member_ = false;
    if (::inflateReset(&stream_) != Z_OK) throw Error(ErrorCode::kInternal, "inflateReset");
  }

  PieceSource& source_;
  z_stream stream_{};
  std::string_view piece_;
  bool in_member_ = false;
};

class ZstdUnpacker final : public Unpacker {
 public:
  explicit ZstdUnpacker(PieceSource& source) : source_(source), stream_(::ZSTD_createDStream()) {
    TROUPE_CHECK(stream_ != nullptr, "ZSTD_createDStream");
  }

  std::size_t read(std::span<char> bytes) override {
    ZSTD_outBuffer out{bytes.data(), bytes.size(), 0};
    while (out.pos == 0) {
      const bool more = feed();
      const std::size_t before = in_.pos;
      const std::size_t status = ::ZSTD_decompressStream(stream_.get(), &out, &in_);
      if (::ZSTD_isError(status) != 0) throw damaged(source_, "Zstandard", ::ZSTD_getErrorName(status));
      in_frame_ = status != 0;
      if (more || out.pos > 0 || in_.pos > before) continue;
      if (in_frame_ && begun_) throw damaged(source_, "Zstandard", kEndsTooEarly);
      return 0;
    }
    return out.pos;
  }

 private:
  /// False when there is nothing left to feed.
  bool feed() {
    if (in_.pos < in_.size) return true;
    const std::string_view piece = source_.next();
    in_ = {piece.data(), piece.size(), 0};
    begun_ = in_frame_;
    return !piece.empty();
  }

  struct Free {
    void operator()(ZSTD_DStream* stream) const { ::ZSTD_freeDStream(stream); }
  };
  PieceSource& source_;
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool in_frame_ = false;
  bool begun_ = false;  // a frame was open when the last piece was asked for
};

class XzUnpacker final : public Unpacker {
 public:
  explicit XzUnpacker(PieceSource& source) : source_(source) {
    constexpr std::uint64_t kMemoryBytes = std::uint64_t{1} << 30;
    if (::lzma_stream_decoder(&stream_, kMemoryBytes, LZMA_CONCATENATED) != LZMA_OK)
      throw Error(ErrorCode::kInternal, "lzma_stream_decoder");
  }
  XzUnpacker(const XzUnpacker&) = delete;
  XzUnpacker& operator=(const XzUnpacker&) = delete;
  ~XzUnpacker() override { ::lzma_end(&stream_); }

  std::size_t read(std::span<char> bytes) override {
    stream_.next_out = reinterpret_cast<std::uint8_t*>(bytes.data());
    stream_.avail_out = bytes.size();
    while (stream_.avail_out == bytes.size() && !ended_) step();
    return bytes.size() - stream_.avail_out;
  }

 private:
  void step() {
    if (stream_.avail_in == 0 && !fed_) {
      const std::string_view piece = source_.next();
      stream_.next_in = reinterpret_cast<const std::uint8_t*>(piece.data());
      stream_.avail_in = piece.size();
      fed_ = piece.empty();
    }
    const lzma_ret status = ::lzma_code(&stream_, fed_ ? LZMA_FINISH : LZMA_RUN);
    ended_ = status == LZMA_STREAM_END;
    if (status == LZMA_OK || ended_) return;
    throw damaged(source_, "xz",
                  status == LZMA_BUF_ERROR        ? kEndsTooEarly
                  : status == LZMA_MEMLIMIT_ERROR ? "it needs more than 1 GiB of memory"
                                                  : "the bytes are not what was packed");
  }

  PieceSource& source_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool fed_ = false;  // all pieces
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Unpacker> make_gzip_unpacker(PieceSource& source) {
  return std::make_unique<GzipUnpacker>(source);
}
std::unique_ptr<Unpacker> make_zstd_unpacker(PieceSource& source) {
  return std::make_unique<ZstdUnpacker>(source);
}
std::unique_ptr<Unpacker> make_xz_unpacker(PieceSource& source) {
  return std::make_unique<XzUnpacker>(source);
}

}  // namespace troupe::data
