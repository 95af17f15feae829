#include "data/corpus/document.h"

#include <xxhash.h>

#include <algorithm>

#include "base/error.h"
#include "base/index.h"
#include "base/utf8.h"

namespace troupe::data {
namespace {

std::string_view without_blank_ends(std::string_view text) {
  while (text.starts_with('\n')) text.remove_prefix(1);
  while (text.ends_with("\n\n")) text.remove_suffix(1);
  return text;
}

void append_piece(std::string_view piece, std::vector<std::string_view>& pieces) {
  piece = without_blank_ends(piece);
  if (piece.find_first_not_of(" \t\n") != std::string_view::npos) pieces.push_back(piece);
}

void split_long(std::string_view text, std::size_t limit, std::vector<std::string_view>& pieces) {
  while (text.size() > limit) {
    const std::size_t cut = cut_position(text, limit);
    append_piece(text.substr(0, cut), pieces);
    text.remove_prefix(cut);
  }
  append_piece(text, pieces);
}

/// Cuts the text up to the next separator line off the beginning.
std::string_view take_until_separator(std::string_view& text, std::string_view separator) {
  std::size_t line = 0;
  while (line < text.size()) {
    const std::size_t end = std::min(text.find('\n', line), text.size());
    const std::size_t next = std::min(end + 1, text.size());
    if (text.substr(line, end - line) == separator) {
      const std::string_view piece = text.substr(0, line);
      text.remove_prefix(next);
      return piece;
    }
    line = next;
  }
  return std::exchange(text, {});
}

}  // namespace

std::size_t cut_position(std::string_view text, std::size_t limit) {
  const std::string_view head = text.substr(0, limit);
  if (const auto blank = head.rfind("\n\n"); blank != std::string_view::npos && blank > 0) return blank + 1;
  if (const auto line = head.rfind('\n'); line != std::string_view::npos && line > 0) return line + 1;
  std::size_t cut = limit;
  while (cut > 1 && is_utf8_continuation(text[cut])) --cut;
  return cut;
}

ContentHash content_hash(std::string_view text, std::uint64_t seed) {
  const XXH128_hash_t hash = ::XXH3_128bits_withSeed(text.data(), text.size(), seed);
  return {hash.high64, hash.low64};
}

std::vector<std::string_view> split_documents(std::string_view text, std::string_view separator,
                                              std::int64_t limit_bytes) {
  TROUPE_CHECK(limit_bytes >= 4, "documents of at most {} bytes", limit_bytes);
  const auto limit = at(limit_bytes);
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    split_long(separator.empty() ? std::exchange(text, {}) : take_until_separator(text, separator), limit,
               pieces);
  }
  return pieces;
}

}  // namespace troupe::data
