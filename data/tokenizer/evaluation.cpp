#include "data/tokenizer/evaluation.h"

#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/index.h"

namespace troupe::data {
namespace {

double ratio(std::int64_t a, std::int64_t b) {
  return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
}

struct CloseText {
  void operator()(UText* text) const { ::utext_close(text); }
};

/// Calls visit(word) for each piece between two word borders of UAX 29 that has a letter, number or
/// ideograph. Dictionaries find them in Chinese, Japanese, Thai and the like.
template <class Visit>
void for_each_word(std::string_view text, const Visit& visit) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> borders(
      icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), status));
  const std::unique_ptr<UText, CloseText> content(
      ::utext_openUTF8(nullptr, text.data(), static_cast<std::int64_t>(text.size()), &status));
  TROUPE_CHECK(U_SUCCESS(status) && borders != nullptr, "ICU finds no words: {}", u_errorName(status));
  borders->setText(content.get(), status);
  std::int32_t begin = borders->first();
  for (std::int32_t end = borders->next(); end != icu::BreakIterator::DONE; end = borders->next()) {
    if (borders->getRuleStatus() >= UBRK_WORD_NONE_LIMIT) {
      visit(text.substr(at(begin), at(end - begin)));
    }
    begin = end;
  }
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
  std::vector<TokenId> tokens;
  encoder.encode(text, tokens);
  TokenizerScore score{static_cast<std::int64_t>(text.size()), static_cast<std::int64_t>(tokens.size()), 0, 0,
                       0};
  for_each_word(text, [&](std::string_view word) {
    tokens.clear();
    encoder.encode(word, tokens);
    ++score.words;
    score.word_tokens += std::ssize(tokens);
    score.continued_words += tokens.size() > 1 ? 1 : 0;
  });
  return score;
}

}  // namespace troupe::data
