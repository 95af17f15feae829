#pragma once
#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "data/tokenizer/unicode.h"
#include "data/tokenizer/vocabulary.h"

namespace troupe::data {

/// Finds tokens that stand in a text as a whole, as Hugging Face's added vocabulary does: the leftmost, of
/// several that begin there the longest. Cheap where no first byte of a name occurs. The tokens outlive it.
class AddedTokens {
 public:
  /// Of `tokens`, those that are looked for before (normalized = false) or after the text was normalised.
  /// with_special: special ones are found, too; without, their names are text.
  AddedTokens(std::span<const SpecialToken> tokens, bool normalized, bool with_special);

  [[nodiscard]] bool empty() const { return empty_; }

  /// Calls on_text(piece) and on_token(id) for the parts of the text, in order.
  template <class OnText, class OnToken>
  void split(std::string_view text, const OnText& on_text, const OnToken& on_token) const {
    std::size_t begin = 0;
    for (Found found = next(text, 0, begin); found.token != nullptr;
         found = next(text, found.search_from, begin)) {
      if (found.begin > begin) on_text(text.substr(begin, found.begin - begin));
      on_token(found.token->id);
      begin = found.end;
    }
    if (begin < text.size()) on_text(text.substr(begin));
  }

 private:
  struct Found {
    const SpecialToken* token = nullptr;
    std::size_t begin = 0;
    std::size_t end = 0;          // with the spaces that it takes
    std::size_t search_from = 0;  // where the name ends
  };
  [[nodiscard]] Found next(std::string_view text, std::size_t place, std::size_t taken) const;
  [[nodiscard]] const SpecialToken* longest_at(std::string_view text, std::size_t place) const;

  std::array<std::vector<const SpecialToken*>, 256> by_first_byte_;  // the longest first
  bool with_special_;
  bool empty_ = true;
  CharacterReader reader_;
};

}  // namespace troupe::data
