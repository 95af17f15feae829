#pragma once
#include <cstddef>
#include <string_view>

#include "data/tokenizer/unicode.h"

namespace troupe::data {

/// GPT-2's pattern, which this code follows without a regular-expression engine.
inline constexpr std::string_view kGpt2Pattern =
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Cuts text into the words inside which byte pairs may merge: the matches of kGpt2Pattern.
/// Every byte belongs to exactly one word. Bytes that are not valid UTF-8 count as one
/// "other" character each (unicode.h). Time is linear in the text.
class PreTokenizer {
 public:
  /// Where the word that begins at `begin` < text.size() ends; `begin` must be 0 or a word's end.
  [[nodiscard]] std::size_t word_end(std::string_view text, std::size_t begin) const;

  /// Calls visit(std::string_view word) for each word, in order.
  template <class Visit>
  void for_each_word(std::string_view text, Visit&& visit) const {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = word_end(text, begin);
      visit(text.substr(begin, end - begin));
      begin = end;
    }
  }

 private:
  [[nodiscard]] std::size_t run_end(std::string_view text, std::size_t position, CharacterClass kind) const;
  [[nodiscard]] std::size_t spaces_end(std::string_view text, std::size_t begin) const;

  CharacterReader reader_;
};

}  // namespace troupe::data
