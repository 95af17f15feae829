#include "data/corpus/text_file.h"

#include <zlib.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "data/corpus/html.h"

namespace troupe::data {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;
constexpr std::size_t kChunkBytes = std::size_t{1} << 16;

/// zlib's inflate with its life. zlib counts in 32 bits; input is at most kMaxFileBytes.
class Inflater {
 public:
  Inflater(std::string_view packed, std::string name) : name_(std::move(name)) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
    constexpr int kGzipOnly = 16;
    if (::inflateInit2(&stream_, MAX_WBITS + kGzipOnly) != Z_OK)
      throw Error(ErrorCode::kInternal, "inflateInit2");
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { ::inflateEnd(&stream_); }

  /// Appends some more; false at the end of the last member.
  bool append(std::string& out) {
    const std::size_t before = out.size();
    out.resize(before + kChunkBytes);
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream_.avail_out = static_cast<uInt>(kChunkBytes);
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    out.resize(out.size() - stream_.avail_out);
    if (status == Z_OK) return true;
    if (status != Z_STREAM_END) {
      throw Error(ErrorCode::kCorrupt, "{}: damaged gzip data ({})", name_,
                  stream_.msg != nullptr ? stream_.msg : "it ends too early");
    }
    if (stream_.avail_in == 0) return false;
    if (::inflateReset(&stream_) != Z_OK) throw Error(ErrorCode::kInternal, "inflateReset");
    return true;
  }

 private:
  z_stream stream_{};
  std::string name_;
};

void remove_line_end_space(std::string& text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.pop_back();
}

}  // namespace

namespace detail {

std::string gunzip(std::string_view packed, std::size_t limit_bytes, const std::string& name) {
  Inflater inflater(packed, name);
  std::string text;
  while (inflater.append(text)) {
    if (text.size() > limit_bytes) {
      throw Error(ErrorCode::kCorrupt, "{}: unpacks to more than {} bytes", name, limit_bytes);
    }
  }
  return text;
}

std::optional<std::string> normalise_text(std::string_view bytes) {
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  if (bytes.find('\0') != std::string_view::npos || !is_utf8(bytes)) return std::nullopt;
  return clean_lines(bytes);
}

std::string clean_lines(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() + 1);
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    text.append(bytes.substr(0, end));
    remove_line_end_space(text);
    text += '\n';
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return text;
}

}  // namespace detail

std::string read_unpacked(const std::filesystem::path& file) {
  std::string bytes = read_file(file, kMaxFileBytes);
  return bytes.starts_with("\x1F\x8B") ? detail::gunzip(bytes, kMaxFileBytes, file.string()) : bytes;
}

std::optional<std::string> read_text_file(const std::filesystem::path& file, TextFormat format) {
  const std::string bytes = read_unpacked(file);
  if (!is_utf8(bytes)) return std::nullopt;
  return detail::normalise_text(format == TextFormat::kHtml ? html_to_text(bytes) : bytes);
}

}  // namespace troupe::data
