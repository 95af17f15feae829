#include "data/tokenizer/pre_tokenizer.h"

namespace troupe::data {
namespace {

/// Bytes of `'(?:[sdmt]|ll|ve|re)` at `begin`, where an apostrophe stands; 0 when it does not match.
std::size_t contraction_bytes(std::string_view text, std::size_t begin) {
  const std::string_view rest = text.substr(begin + 1, 2);
  if (rest.empty()) return 0;
  if (rest[0] == 's' || rest[0] == 'd' || rest[0] == 'm' || rest[0] == 't') return 2;
  return rest == "ll" || rest == "ve" || rest == "re" ? 3 : 0;
}

}  // namespace

std::size_t PreTokenizer::word_end(std::string_view text, std::size_t begin) const {
  if (text[begin] == '\'') {
    if (const std::size_t bytes = contraction_bytes(text, begin); bytes > 0) return begin + bytes;
  }
  const std::size_t first = begin + (text[begin] == ' ' ? 1 : 0);
  if (first == text.size()) return first;
  const Character character = reader_.at(text, first);
  if (character.kind == CharacterClass::kSpace) return spaces_end(text, begin);
  return run_end(text, first + character.bytes, character.kind);
}

std::size_t PreTokenizer::run_end(std::string_view text, std::size_t position, CharacterClass kind) const {
  while (position < text.size()) {
    const Character character = reader_.at(text, position);
    if (character.kind != kind) break;
    position += character.bytes;
  }
  return position;
}

// `\s+(?!\S)|\s+`: a run before a non-space leaves its last character to the next word, unless it is
// the only one.
std::size_t PreTokenizer::spaces_end(std::string_view text, std::size_t begin) const {
  std::size_t last = begin;
  std::size_t end = begin;
  while (end < text.size()) {
    const Character character = reader_.at(text, end);
    if (character.kind != CharacterClass::kSpace) return last == begin ? end : last;
    last = end;
    end += character.bytes;
  }
  return end;
}

}  // namespace troupe::data
