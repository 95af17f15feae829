#include "data/sources/byte_stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "data/sources/unpackers.h"

namespace troupe::data {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 17;

FileDescriptor open_input(const std::filesystem::path& file) {
  if (file != "-") return FileDescriptor::open(file, O_RDONLY);
  const int copy = ::dup(STDIN_FILENO);
  if (copy < 0) throw io_error("cannot read standard input");
  return FileDescriptor(copy);
}

/// A file piece by piece, with a look at its beginning.
class PackedInput final : public PieceSource {
 public:
  explicit PackedInput(const std::filesystem::path& file)
      : name_(file == "-" ? "standard input" : file.string()), file_(open_input(file)), piece_(kPieceBytes) {
    while (size_ < 16 && fill() > 0) {
    }
  }

  [[nodiscard]] std::string_view beginning() const { return {piece_.data(), size_}; }
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] std::int64_t consumed_bytes() const { return consumed_; }

  std::string_view next() override {
    if (!looked_at_) {
      size_ = 0;
      fill();
    }
    looked_at_ = false;
    return {piece_.data(), size_};
  }

 private:
  std::size_t fill() {
    while (true) {
      const ssize_t got = ::read(file_.get(), piece_.data() + size_, piece_.size() - size_);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw io_error("cannot read " + name_);
      size_ += at(got);
      consumed_ += got;
      return at(got);
    }
  }

  std::string name_;
  FileDescriptor file_;
  std::vector<char> piece_;
  std::size_t size_ = 0;
  bool looked_at_ = true;  // what is in piece_ was not given away yet
  std::int64_t consumed_ = 0;
};

/// A file as it is.
class PlainUnpacker final : public Unpacker {
 public:
  explicit PlainUnpacker(PieceSource& source) : source_(source) {}

  std::size_t read(std::span<char> bytes) override {
    if (rest_.empty()) rest_ = source_.next();
    const std::size_t count = std::min(bytes.size(), rest_.size());
    std::memcpy(bytes.data(), rest_.data(), count);
    rest_.remove_prefix(count);
    return count;
  }

 private:
  PieceSource& source_;
  std::string_view rest_;
};

std::unique_ptr<Unpacker> unpacker_of(PackedInput& input) {
  const std::string_view beginning = input.beginning();
  if (beginning.starts_with("\x1F\x8B")) return make_gzip_unpacker(input);
  if (beginning.starts_with("\x28\xB5\x2F\xFD")) return make_zstd_unpacker(input);
  if (beginning.starts_with(std::string_view("\xFD"
                                             "7zXZ\0",
                                             6)))
    return make_xz_unpacker(input);
  return std::make_unique<PlainUnpacker>(input);
}

class FileStream final : public ByteStream {
 public:
  explicit FileStream(const std::filesystem::path& file) : input_(file), unpacker_(unpacker_of(input_)) {}

  std::size_t read(std::span<char> bytes) override { return unpacker_->read(bytes); }
  [[nodiscard]] std::int64_t consumed_bytes() const override { return input_.consumed_bytes(); }

 private:
  PackedInput input_;
  std::unique_ptr<Unpacker> unpacker_;
};

}  // namespace

std::unique_ptr<ByteStream> open_byte_stream(const std::filesystem::path& file) {
  return std::make_unique<FileStream>(file);
}

}  // namespace troupe::data
