#include "data/sources/token_cutters.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"

namespace troupe::data {
namespace {

constexpr std::size_t kLongestDocument = std::size_t{1} << 20;  // tokens
constexpr std::size_t kReadTokens = std::size_t{1} << 16;

template <class Number>
Number number_at(std::string_view bytes, std::size_t offset) {
  Number value;
  TROUPE_CHECK(offset + sizeof value <= bytes.size(), "byte {} of {}", offset, bytes.size());
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

void append_token(std::int32_t token, std::string& bytes) {
  std::array<char, sizeof token> stored;
  std::memcpy(stored.data(), &token, sizeof token);
  bytes.append(stored.data(), stored.size());
}

/// Token file read at any place. Ids of 2 or 4 bytes, signed or not.
class TokenFile {
 public:
  explicit TokenFile(const std::filesystem::path& path)
      : path_(path), file_(FileDescriptor::open(path, O_RDONLY)), size_(std::filesystem::file_size(path)) {}

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Fewer bytes than asked for at the end only.
  [[nodiscard]] std::string read(std::size_t offset, std::size_t count) const {
    std::string bytes(std::min(count, size_ - std::min(offset, size_)), '\0');
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t got =
          ::pread(file_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw io_error("cannot read " + path_.string());
      if (got == 0) throw Error(ErrorCode::kCorrupt, "{}: became shorter while it was read", path_.string());
      done += at(got);
    }
    return bytes;
  }

  template <class... Args>
  [[nodiscard]] Error damaged(fmt::format_string<Args...> format, Args&&... args) const {
    return Error(ErrorCode::kCorrupt, "{}: {}", path_.string(),
                 fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  std::size_t size_;
};

std::int32_t token_at(std::string_view bytes, std::size_t index, std::size_t width) {
  return width == 2 ? number_at<std::uint16_t>(bytes, 2 * index) : number_at<std::int32_t>(bytes, 4 * index);
}

class TokenBinCutter final : public DocumentCutter {
 public:
  TokenBinCutter(const InputFile& file, const ReadOptions& options)
      : file_(file.path), end_of_text_(options.end_of_text) {
    read_header();
    if ((file_.size() - offset_) % width_ != 0)
      throw file_.damaged("{} bytes are no whole number of tokens of {} bytes", file_.size() - offset_,
                          width_);
  }

  bool next(std::string& bytes) override {
    std::size_t count = 0;
    while (fill() && count < kLongestDocument) {
      const std::int32_t token = token_at(piece_, index_++, width_);
      if (token != end_of_text_) {
        append_token(token, bytes);
        ++count;
      } else if (count > 0) {
        return true;
      }
    }
    return count > 0;
  }

  [[nodiscard]] std::int64_t consumed_bytes() const override { return static_cast<std::int64_t>(offset_); }

 private:
  void read_header() {
    constexpr std::size_t kHeaderBytes = 256 * 4;
    constexpr std::int32_t kGpt2Magic = 20240520;
    constexpr std::int32_t kLlama3Magic = 20240801;
    if (file_.size() < kHeaderBytes) return;
    const std::string header = file_.read(0, kHeaderBytes);
    const auto magic = number_at<std::int32_t>(header, 0);
    if (magic != kGpt2Magic && magic != kLlama3Magic) return;
    width_ = magic == kGpt2Magic ? 2 : 4;
    offset_ = kHeaderBytes;
    const auto tokens = number_at<std::int32_t>(header, 8);
    if (tokens < 0 || at(tokens) * width_ != file_.size() - kHeaderBytes) {
      throw file_.damaged("its header says {} tokens, but {} bytes follow", tokens,
                          file_.size() - kHeaderBytes);
    }
  }

  bool fill() {
    if ((index_ + 1) * width_ <= piece_.size()) return true;
    piece_ = file_.read(offset_, kReadTokens * width_);
    offset_ += piece_.size();
    index_ = 0;
    return !piece_.empty();
  }

  TokenFile file_;
  std::int32_t end_of_text_;
  std::size_t width_ = 2;
  std::size_t offset_ = 0;  // of what is read next
  std::string piece_;
  std::size_t index_ = 0;  // of the next token in it
};

/// The index: "MMIDIDX\0\0", version, type, counts, then i32 sizes and i64 places of the sequences and the
/// numbers of the sequences where documents begin (one more than documents).
class MegatronCutter final : public DocumentCutter {
 public:
  MegatronCutter(const InputFile& file, const ReadOptions& options)
      : tokens_(file.path),
        index_(std::filesystem::path(file.path).replace_extension(".idx")),
        end_of_text_(options.end_of_text) {
    read_header();
  }

  bool next(std::string& bytes) override {
    if (document_ >= documents_) return false;
    const std::int64_t first = document_begin(document_);
    const std::int64_t end = document_begin(++document_);
    if (first < 0 || end < first || end > sequences_)
      throw index_.damaged("document {} is of the sequences [{}, {}) of {}", document_ - 1, first, end,
                           sequences_);
    const std::size_t before = bytes.size();
    for (std::int64_t sequence = first; sequence < end; ++sequence) append_sequence(sequence, bytes);
    drop_end_of_text(before, bytes);
    return true;
  }

  [[nodiscard]] std::int64_t consumed_bytes() const override { return static_cast<std::int64_t>(consumed_); }

 private:
  static constexpr std::size_t kHeaderBytes = 9 + 8 + 1 + 8 + 8;

  void read_header() {
    const std::string header = index_.read(0, kHeaderBytes);
    if (!header.starts_with(std::string_view("MMIDIDX\0\0", 9)) || header.size() < kHeaderBytes)
      throw index_.damaged("it is not the index of a Megatron corpus");
    const auto version = number_at<std::uint64_t>(header, 9);
    if (version != 1) throw index_.damaged("it has version {}; 1 is read", version);
    const int type = static_cast<unsigned char>(header[17]);
    if (type != 4 && type != 8)
      throw index_.damaged("its tokens are of type {}; 4 (i32) and 8 (u16) are read", type);
    width_ = type == 8 ? 2 : 4;
    sequences_ = number_at<std::int64_t>(header, 18);
    documents_ = number_at<std::int64_t>(header, 26) - 1;
    const std::size_t room = index_.size() - kHeaderBytes;
    if (sequences_ < 0 || documents_ < 0 || at(sequences_) > room / 12 || at(documents_) > room / 8 ||
        at(sequences_) * 12 + (at(documents_) + 1) * 8 != room) {
      throw index_.damaged("its {} bytes do not hold {} sequences and {} documents", index_.size(),
                           sequences_, documents_);
    }
  }

  [[nodiscard]] std::int64_t document_begin(std::int64_t document) const {
    const auto offset = kHeaderBytes + at(sequences_) * 12 + at(document) * 8;
    return number_at<std::int64_t>(index_.read(offset, 8), 0);
  }

  void append_sequence(std::int64_t sequence, std::string& bytes) {
    const auto number = at(sequence);
    const auto size = number_at<std::int32_t>(index_.read(kHeaderBytes + number * 4, 4), 0);
    const auto place =
        number_at<std::int64_t>(index_.read(kHeaderBytes + at(sequences_) * 4 + number * 8, 8), 0);
    const std::size_t room = tokens_.size();
    if (size < 0 || place < 0 || at(place) > room || at(size) > (room - at(place)) / width_) {
      throw index_.damaged("sequence {} is {} tokens at byte {} of the {} of {}", sequence, size, place, room,
                           tokens_.path().string());
    }
    const std::string stored = tokens_.read(at(place), at(size) * width_);
    for (std::size_t i = 0; i < at(size); ++i) append_token(token_at(stored, i, width_), bytes);
    consumed_ = at(place) + stored.size();
  }

  void drop_end_of_text(std::size_t before, std::string& bytes) const {
    while (bytes.size() > before && number_at<std::int32_t>(bytes, bytes.size() - 4) == end_of_text_)
      bytes.resize(bytes.size() - 4);
  }

  TokenFile tokens_;
  TokenFile index_;
  std::int32_t end_of_text_;
  std::size_t width_ = 4;
  std::int64_t sequences_ = 0;
  std::int64_t documents_ = 0;
  std::int64_t document_ = 0;
  std::size_t consumed_ = 0;
};

}  // namespace

std::unique_ptr<DocumentCutter> make_token_bin_cutter(const InputFile& file, const ReadOptions& options) {
  return std::make_unique<TokenBinCutter>(file, options);
}
std::unique_ptr<DocumentCutter> make_megatron_cutter(const InputFile& file, const ReadOptions& options) {
  return std::make_unique<MegatronCutter>(file, options);
}

}  // namespace troupe::data
