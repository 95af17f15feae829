#include "data/corpus/prose.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/utf8.h"
#include "data/tokenizer/unicode.h"

namespace troupe::data {
namespace {

constexpr std::size_t kLeastBytes = 60;
constexpr double kLeastLetters = 0.8;  // of the characters that are no space

/// Without spaces at both ends.
std::string_view stripped(std::string_view line) {
  const auto first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t") - first + 1);
}

double letters(std::string_view text) {
  const CharacterReader reader;
  std::int64_t letters = 0;
  std::int64_t all = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character character = reader.at(text, at);
    if (character.kind != CharacterClass::kSpace) ++all;
    if (character.kind == CharacterClass::kLetter) ++letters;
    at += character.bytes;
  }
  return all == 0 ? 0.0 : static_cast<double>(letters) / static_cast<double>(all);
}

bool ends_a_sentence(std::string_view text) {
  while (!text.empty() && (text.back() == '"' || text.back() == '\'' || text.back() == ')'))
    text.remove_suffix(1);
  constexpr std::array<std::string_view, 8> kEnds{".", "!", "?", ":", "。", "！", "？", "："};
  return std::ranges::any_of(kEnds, [&](std::string_view end) { return text.ends_with(end); });
}

bool is_about_rights(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::array<std::string_view, 5> kWords{"copyright", "licens", "licenc", "lizenz", "warrant"};
  return std::ranges::any_of(kWords,
                             [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

/// The lines of a paragraph, joined by line ends; empty: it is no prose.
std::string prose_of(std::string_view paragraph) {
  std::string text;
  while (!paragraph.empty()) {
    const std::size_t end = std::min(paragraph.find('\n'), paragraph.size());
    const std::string_view line = stripped(paragraph.substr(0, end));
    if (line.find("   ") != std::string_view::npos) return {};  // columns
    text += line;
    text += '\n';
    paragraph.remove_prefix(std::min(end + 1, paragraph.size()));
  }
  const bool prose = text.size() >= kLeastBytes && letters(text) >= kLeastLetters &&
                     ends_a_sentence(stripped(std::string_view(text).substr(0, text.size() - 1))) &&
                     !is_about_rights(text);
  return prose ? text : std::string();
}

}  // namespace

std::string keep_prose(std::string_view text) {
  std::string kept;
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const bool blank = stripped(text.substr(at, end - at)).empty();
    if (blank || end == text.size()) {
      const std::string prose = prose_of(text.substr(begin, (blank ? at : end) - begin));
      if (!prose.empty()) kept += prose + "\n";
      begin = end + 1;
    }
    at = end + 1;
  }
  return kept;
}

}  // namespace troupe::data
