#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::data {

/// 128-bit content hash (XXH3): the identity of a text, and the only thing that decides its place in the
/// corpus.
struct ContentHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const ContentHash&) const = default;
};

[[nodiscard]] ContentHash content_hash(std::string_view text, std::uint64_t seed = 0);

/// A piece of text that a model sees as a whole.
struct Document {
  std::string text;
  std::vector<std::int32_t> tokens;  // as a file of tokens had them; empty: the text is to be encoded
  std::int32_t domain = 0;
  ContentHash hash;

  Document(std::string content, std::int32_t domain_index, std::vector<std::int32_t> ids = {})
      : text(std::move(content)), tokens(std::move(ids)), domain(domain_index), hash(content_hash(text)) {}
};

/// Bytes of the first piece of a text that is longer than `limit`: up to the last blank line inside the
/// limit, else the last line end, else between two characters.
[[nodiscard]] std::size_t cut_position(std::string_view text, std::size_t limit);

/// Cuts a file's text into the documents' texts: first at lines that equal `separator` (if not empty), then
/// whatever is longer than `limit_bytes` at the last blank line inside the limit, else at the last line
/// end, else between two characters. Empty pieces are left out. Without separator, joining the pieces
/// gives the text again, save blank lines at the cuts.
[[nodiscard]] std::vector<std::string_view> split_documents(std::string_view text, std::string_view separator,
                                                            std::int64_t limit_bytes);

}  // namespace troupe::data
