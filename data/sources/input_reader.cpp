#include "data/sources/input_reader.h"

#include <algorithm>

#include "base/error.h"
#include "base/index.h"
#include "data/corpus/document.h"
#include "data/sources/token_cutters.h"

namespace troupe::data {
namespace {

constexpr std::size_t kBatchBytes = std::size_t{1} << 20;
constexpr std::size_t kBatchDocuments = std::size_t{1} << 16;
constexpr std::size_t kReadBytes = std::size_t{1} << 18;

/// A stream with a view of what comes next, as long as asked for.
class Lookahead {
 public:
  explicit Lookahead(const std::filesystem::path& file) : stream_(open_byte_stream(file)) {}

  /// The next bytes, at least `size` of them unless the stream ends before.
  std::string_view peek(std::size_t size) {
    while (buffer_.size() - begin_ < size && !ended_) fill();
    return std::string_view(buffer_).substr(begin_);
  }
  void drop(std::size_t size) { begin_ += size; }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] std::int64_t consumed_bytes() const { return stream_->consumed_bytes(); }

 private:
  void fill() {
    buffer_.erase(0, std::exchange(begin_, 0));
    const std::size_t before = buffer_.size();
    buffer_.resize(before + std::max(kReadBytes, before));  // doubles, so that a long line is copied little
    const std::size_t got = stream_->read(std::span(buffer_).subspan(before));
    buffer_.resize(before + got);
    ended_ = got == 0;
  }

  std::unique_ptr<ByteStream> stream_;
  std::string buffer_;
  std::size_t begin_ = 0;
  bool ended_ = false;
};

class TextCutter final : public DocumentCutter {
 public:
  TextCutter(const InputFile& file, const ReadOptions& options)
      : input_(file.path), separator_(options.separator), limit_(at(options.document_bytes)) {}

  bool next(std::string& bytes) override {
    const std::string_view text = input_.peek(limit_ + separator_.size() + 2);
    if (text.empty()) return false;
    const auto [size, dropped] = document_of(text);
    bytes.append(text.substr(0, size));
    input_.drop(size + dropped);
    return true;
  }

  [[nodiscard]] std::int64_t consumed_bytes() const override { return input_.consumed_bytes(); }

 private:
  struct Cut {
    std::size_t size;
    std::size_t dropped;  // the separator line after it
  };

  [[nodiscard]] Cut document_of(std::string_view text) const {
    const std::string_view head = text.substr(0, limit_ + separator_.size() + 2);
    if (!separator_.empty()) {
      for (std::size_t at = head.find(separator_); at != std::string_view::npos && at <= limit_;
           at = head.find(separator_, at + 1)) {
        const std::size_t end = at + separator_.size();
        const bool whole = (at == 0 || head[at - 1] == '\n') && (end == text.size() || text[end] == '\n');
        if (whole) return {at, std::min(end + 1, text.size()) - at};
      }
    }
    if (text.size() <= limit_) return {text.size(), 0};
    return {cut_position(text, limit_), 0};
  }

  Lookahead input_;
  std::string separator_;
  std::size_t limit_;
};

class LineCutter final : public DocumentCutter {
 public:
  LineCutter(const InputFile& file, const ReadOptions& options)
      : input_(file.path), limit_(at(options.longest_line_bytes)) {}

  bool next(std::string& bytes) override {
    std::size_t searched = 0;
    while (true) {
      const std::string_view text = input_.peek(searched + 1);
      const std::size_t end = text.find('\n', searched);
      const std::size_t size = std::min(end, text.size());
      if (size > limit_) {
        skip_line();
        searched = 0;
        continue;
      }
      if (end == std::string_view::npos && !input_.ended()) {
        searched = text.size();
        continue;
      }
      if (text.empty()) return false;
      bytes.append(text.substr(0, size));
      input_.drop(std::min(size + 1, text.size()));
      return true;
    }
  }

  [[nodiscard]] std::int64_t too_long() const override { return too_long_; }
  [[nodiscard]] std::int64_t consumed_bytes() const override { return input_.consumed_bytes(); }

 private:
  void skip_line() {
    ++too_long_;
    while (true) {
      const std::string_view text = input_.peek(1);
      if (text.empty()) return;
      const std::size_t end = text.find('\n');
      input_.drop(end == std::string_view::npos ? text.size() : end + 1);
      if (end != std::string_view::npos) return;
    }
  }

  Lookahead input_;
  std::size_t limit_;
  std::int64_t too_long_ = 0;
};

std::unique_ptr<DocumentCutter> make_cutter(const InputFile& file, const ReadOptions& options) {
  switch (file.kind) {
    case InputKind::kText:
      return make_text_cutter(file, options);
    case InputKind::kJsonLines:
      return make_line_cutter(file, options);
    case InputKind::kTokenBin:
      return make_token_bin_cutter(file, options);
    case InputKind::kMegatron:
      return make_megatron_cutter(file, options);
  }
  throw Error(ErrorCode::kInternal, "input kind");
}

}  // namespace

std::unique_ptr<DocumentCutter> make_text_cutter(const InputFile& file, const ReadOptions& options) {
  return std::make_unique<TextCutter>(file, options);
}
std::unique_ptr<DocumentCutter> make_line_cutter(const InputFile& file, const ReadOptions& options) {
  return std::make_unique<LineCutter>(file, options);
}

InputReader::InputReader(std::span<const InputFile> files, ReadOptions options, InputPosition start)
    : files_(files), options_(std::move(options)), position_(start) {
  for (std::int64_t i = 0; i < std::ssize(files_); ++i) {
    const std::int64_t bytes = files_[at(i)].bytes;
    total_bytes_ += bytes;
    if (i < start.file) finished_bytes_ += bytes;
  }
}

void InputReader::open_file() {
  cutter_ = make_cutter(files_[at(position_.file)], options_);
  std::string ignored;
  for (std::int64_t i = 0; i < position_.documents; ++i) {
    ignored.clear();
    if (!cutter_->next(ignored)) break;
  }
  skipped_too_long_ = cutter_->too_long();
}

bool InputReader::next(RawBatch& batch) {
  batch = {};
  while (position_.file < std::ssize(files_)) {
    batch.file = &files_[at(position_.file)];
    if (cutter_ == nullptr) open_file();
    bool ended = false;
    while (!ended && batch.bytes.size() < kBatchBytes && batch.documents.size() < kBatchDocuments) {
      const std::size_t begin = batch.bytes.size();
      ended = !cutter_->next(batch.bytes);
      if (!ended) batch.documents.push_back({begin, batch.bytes.size() - begin, ++position_.documents});
    }
    batch.too_long = cutter_->too_long() - std::exchange(skipped_too_long_, cutter_->too_long());
    if (ended) {
      finished_bytes_ += batch.file->bytes;
      position_ = {position_.file + 1, 0};
      cutter_ = nullptr;
    }
    batch.end = position_;
    if (!batch.documents.empty() || batch.too_long > 0) return true;
  }
  return false;
}

std::int64_t InputReader::consumed_bytes() const {
  return finished_bytes_ + (cutter_ == nullptr ? 0 : cutter_->consumed_bytes());
}

}  // namespace troupe::data
