#include "data/corpus/text_file.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/utf8.h"
#include "data/corpus/html.h"
#include "data/sources/byte_stream.h"

namespace troupe::data {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 16;

void remove_line_end_space(std::string& text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.pop_back();
}

}  // namespace

namespace detail {

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

std::string read_unpacked(const std::filesystem::path& file, std::size_t limit_bytes) {
  const auto stream = open_byte_stream(file);
  std::string bytes;
  std::size_t size = 0;
  do {
    bytes.resize(size + kChunkBytes);
    const std::size_t got = stream->read(std::span(bytes).subspan(size));
    bytes.resize(size + got);
    if (got == 0) return bytes;
    size += got;
  } while (size <= limit_bytes);
  throw Error(ErrorCode::kCorrupt, "{}: unpacks to more than {} bytes", file.string(), limit_bytes);
}

std::optional<std::string> read_text_file(const std::filesystem::path& file, TextFormat format) {
  const std::string bytes = read_unpacked(file);
  if (!is_utf8(bytes)) return std::nullopt;
  return detail::normalise_text(format == TextFormat::kHtml ? html_to_text(bytes) : bytes);
}

}  // namespace troupe::data
