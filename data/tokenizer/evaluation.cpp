#include "data/tokenizer/evaluation.h"

#include <cstddef>
#include <vector>

#include "data/tokenizer/unicode.h"

namespace troupe::data {
namespace {

double ratio(std::int64_t a, std::int64_t b) {
  return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
}

/// Where the run of spaces (or of anything else) that begins at `position` ends.
std::size_t run_end(const CharacterReader& reader, std::string_view text, std::size_t position, bool spaces) {
  while (position < text.size()) {
    const Character character = reader.at(text, position);
    if ((character.kind == CharacterClass::kSpace) != spaces) break;
    position += character.bytes;
  }
  return position;
}

}  // namespace

double TokenizerScore::bytes_per_token() const { return ratio(bytes, tokens); }
double TokenizerScore::fertility() const { return ratio(word_tokens, words); }
double TokenizerScore::continued_proportion() const { return ratio(continued_words, words); }

TokenizerScore& TokenizerScore::operator+=(const TokenizerScore& other) {
  bytes += other.bytes;
  tokens += other.tokens;
  words += other.words;
  word_tokens += other.word_tokens;
  continued_words += other.continued_words;
  return *this;
}

TokenizerScore score_text(Encoder& encoder, std::string_view text) {
  const CharacterReader reader;
  std::vector<TokenId> tokens;
  encoder.encode(text, tokens);
  TokenizerScore score{static_cast<std::int64_t>(text.size()), static_cast<std::int64_t>(tokens.size()), 0, 0,
                       0};
  for (std::size_t begin = run_end(reader, text, 0, true); begin < text.size();) {
    const std::size_t end = run_end(reader, text, begin, false);
    const std::size_t with_space = begin > 0 && text[begin - 1] == ' ' ? begin - 1 : begin;
    tokens.clear();
    encoder.encode(text.substr(with_space, end - with_space), tokens);
    ++score.words;
    score.word_tokens += static_cast<std::int64_t>(tokens.size());
    score.continued_words += tokens.size() > 1 ? 1 : 0;
    begin = run_end(reader, text, end, true);
  }
  return score;
}

}  // namespace troupe::data
