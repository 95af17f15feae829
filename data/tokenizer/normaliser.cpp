#include "data/tokenizer/normaliser.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

#include <algorithm>

#include "base/error.h"
#include "data/tokenizer/unicode.h"

namespace troupe::data {
namespace {

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Of well-formed text.
std::string composed_run(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form_c = icu::Normalizer2::getNFCInstance(status);
  TROUPE_CHECK(U_SUCCESS(status) && form_c != nullptr, "ICU has no normalisation form C");
  std::string result;
  icu::StringByteSink<std::string> sink(&result);
  form_c->normalizeUTF8(0, {text.data(), static_cast<std::int32_t>(text.size())}, sink, nullptr, status);
  TROUPE_CHECK(U_SUCCESS(status), "ICU cannot compose a text: {}", u_errorName(status));
  return result;
}

/// ICU would replace bytes that are no UTF-8, so what lies between them is composed.
std::string composed(std::string_view text) {
  const CharacterReader reader;
  std::string result;
  std::size_t run = 0;
  for (std::size_t place = 0; place < text.size();) {
    const std::size_t bytes = reader.at(text, place).bytes;
    if (bytes == 1 && static_cast<unsigned char>(text[place]) >= 0x80) {
      result += composed_run(text.substr(run, place - run)) + text[place];
      run = place + 1;
    }
    place += bytes;
  }
  return result + composed_run(text.substr(run));
}

bool wants_prefix(std::string_view marked, PrefixSpace prefix, bool first) {
  switch (prefix) {
    case PrefixSpace::kNever:
      return false;
    case PrefixSpace::kAlways:
      return !marked.empty();
    case PrefixSpace::kUnless:
      return !marked.starts_with(kSpaceMark);
    case PrefixSpace::kOnce:
      return first && !marked.starts_with(kSpaceMark);
  }
  return false;
}

std::string with_space_marks(std::string_view text, PrefixSpace prefix, bool first) {
  std::string result;
  for (const char c : text) {
    if (c == ' ') {
      result += kSpaceMark;
    } else {
      result += c;
    }
  }
  return wants_prefix(result, prefix, first) ? std::string(kSpaceMark) + result : result;
}

}  // namespace

std::string normalise(std::string_view text, const TokenizerRules& rules, bool first) {
  std::string result = rules.compose ? composed(text) : std::string(text);
  return rules.byte_fallback ? with_space_marks(result, rules.prefix_space, first) : result;
}

}  // namespace troupe::data
