#include "data/tokenizer/added_tokens.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>
#include <functional>

namespace troupe::data {
namespace {

bool is_utf8_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

/// Where the character before `place` > 0 begins.
std::size_t previous_character(std::string_view text, std::size_t place) {
  do --place;
  while (place > 0 && is_utf8_continuation(text[place]));
  return place;
}

/// \w of Unicode's regular expressions (UTS 18, annex C), of the character at `place`.
bool is_word(std::string_view text, std::size_t place) {
  UChar32 character = 0;
  auto next = static_cast<std::int32_t>(place);
  U8_NEXT(reinterpret_cast<const std::uint8_t*>(text.data()), next, static_cast<std::int32_t>(text.size()),
          character);
  if (character < 0) return false;
  constexpr std::uint32_t kKinds = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return (U_GET_GC_MASK(character) & kKinds) != 0 || ::u_hasBinaryProperty(character, UCHAR_ALPHABETIC) ||
         ::u_hasBinaryProperty(character, UCHAR_JOIN_CONTROL);
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  return (begin == 0 || !is_word(text, previous_character(text, begin))) &&
         (end == text.size() || !is_word(text, end));
}

}  // namespace

AddedTokens::AddedTokens(std::span<const SpecialToken> tokens, bool normalized, bool with_special)
    : with_special_(with_special) {
  for (const SpecialToken& token : tokens) {
    if (token.normalized != normalized || token.name.empty()) continue;
    by_first_byte_[static_cast<unsigned char>(token.name[0])].push_back(&token);
    empty_ = empty_ && token.special && !with_special;
  }
  for (auto& names : by_first_byte_) {
    std::ranges::stable_sort(names, std::greater(),
                             [](const SpecialToken* token) { return token->name.size(); });
  }
}

const SpecialToken* AddedTokens::longest_at(std::string_view text, std::size_t place) const {
  for (const SpecialToken* token : by_first_byte_[static_cast<unsigned char>(text[place])]) {
    if (text.substr(place).starts_with(token->name)) return token;
  }
  return nullptr;
}

AddedTokens::Found AddedTokens::next(std::string_view text, std::size_t place, std::size_t taken) const {
  const auto is_space = [&](std::size_t at) { return reader_.at(text, at).kind == CharacterClass::kSpace; };
  while (place < text.size()) {
    const SpecialToken* token = longest_at(text, place);
    if (token == nullptr) {
      ++place;
      continue;
    }
    const std::size_t name_end = place + token->name.size();
    const bool is_text =
        (token->special && !with_special_) || (token->single_word && !stands_alone(text, place, name_end));
    if (is_text) {
      place = name_end;
      continue;
    }
    Found found{.token = token, .begin = place, .end = name_end, .search_from = name_end};
    while (token->left_strip && found.begin > taken && is_space(previous_character(text, found.begin)))
      found.begin = previous_character(text, found.begin);
    while (token->right_strip && found.end < text.size() && is_space(found.end))
      found.end += reader_.at(text, found.end).bytes;
    found.begin = std::max(found.begin, taken);
    return found;
  }
  return {};
}

}  // namespace troupe::data
