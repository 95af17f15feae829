#include "data/corpus/html_entities.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/utf8.h"

namespace troupe::data::detail {
namespace {

/// Names of HTML 4's references that occur in text, sorted.
constexpr std::array<std::pair<std::string_view, std::uint32_t>, 119> kEntities{{
    {"AElig", 0xC6},    {"Aacute", 0xC1},   {"Acirc", 0xC2},   {"Agrave", 0xC0},   {"Aring", 0xC5},
    {"Atilde", 0xC3},   {"Auml", 0xC4},     {"Ccedil", 0xC7},  {"Dagger", 0x2021}, {"ETH", 0xD0},
    {"Eacute", 0xC9},   {"Ecirc", 0xCA},    {"Egrave", 0xC8},  {"Euml", 0xCB},     {"Iacute", 0xCD},
    {"Icirc", 0xCE},    {"Igrave", 0xCC},   {"Iuml", 0xCF},    {"Ntilde", 0xD1},   {"OElig", 0x152},
    {"Oacute", 0xD3},   {"Ocirc", 0xD4},    {"Ograve", 0xD2},  {"Oslash", 0xD8},   {"Otilde", 0xD5},
    {"Ouml", 0xD6},     {"Scaron", 0x160},  {"THORN", 0xDE},   {"Uacute", 0xDA},   {"Ucirc", 0xDB},
    {"Ugrave", 0xD9},   {"Uuml", 0xDC},     {"Yacute", 0xDD},  {"aacute", 0xE1},   {"acirc", 0xE2},
    {"acute", 0xB4},    {"aelig", 0xE6},    {"agrave", 0xE0},  {"amp", 0x26},      {"apos", 0x27},
    {"aring", 0xE5},    {"atilde", 0xE3},   {"auml", 0xE4},    {"bdquo", 0x201E},  {"brvbar", 0xA6},
    {"bull", 0x2022},   {"ccedil", 0xE7},   {"cedil", 0xB8},   {"cent", 0xA2},     {"copy", 0xA9},
    {"curren", 0xA4},   {"dagger", 0x2020}, {"deg", 0xB0},     {"divide", 0xF7},   {"eacute", 0xE9},
    {"ecirc", 0xEA},    {"egrave", 0xE8},   {"eth", 0xF0},     {"euml", 0xEB},     {"euro", 0x20AC},
    {"frac12", 0xBD},   {"frac14", 0xBC},   {"frac34", 0xBE},  {"ge", 0x2265},     {"gt", 0x3E},
    {"hellip", 0x2026}, {"iacute", 0xED},   {"icirc", 0xEE},   {"iexcl", 0xA1},    {"igrave", 0xEC},
    {"iquest", 0xBF},   {"iuml", 0xEF},     {"laquo", 0xAB},   {"larr", 0x2190},   {"ldquo", 0x201C},
    {"le", 0x2264},     {"lsquo", 0x2018},  {"lt", 0x3C},      {"macr", 0xAF},     {"mdash", 0x2014},
    {"micro", 0xB5},    {"middot", 0xB7},   {"minus", 0x2212}, {"nbsp", 0x20},     {"ndash", 0x2013},
    {"ne", 0x2260},     {"not", 0xAC},      {"ntilde", 0xF1},  {"oacute", 0xF3},   {"ocirc", 0xF4},
    {"oelig", 0x153},   {"ograve", 0xF2},   {"ordf", 0xAA},    {"ordm", 0xBA},     {"oslash", 0xF8},
    {"otilde", 0xF5},   {"ouml", 0xF6},     {"para", 0xB6},    {"plusmn", 0xB1},   {"pound", 0xA3},
    {"quot", 0x22},     {"raquo", 0xBB},    {"rarr", 0x2192},  {"rdquo", 0x201D},  {"reg", 0xAE},
    {"rsquo", 0x2019},  {"sbquo", 0x201A},  {"scaron", 0x161}, {"sect", 0xA7},     {"sup2", 0xB2},
    {"sup3", 0xB3},     {"szlig", 0xDF},    {"thorn", 0xFE},   {"times", 0xD7},    {"trade", 0x2122},
    {"uacute", 0xFA},   {"ucirc", 0xFB},    {"ugrave", 0xF9},  {"uuml", 0xFC},
}};
static_assert(std::is_sorted(kEntities.begin(), kEntities.end()));

constexpr std::size_t kLongestReference = 10;

std::optional<std::uint32_t> numeric_reference(std::string_view digits) {
  const bool hexadecimal = digits.starts_with('x') || digits.starts_with('X');
  if (hexadecimal) digits.remove_prefix(1);
  std::uint32_t value = 0;
  const auto [stop, failure] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, hexadecimal ? 16 : 10);
  if (failure != std::errc{} || stop != digits.data() + digits.size() || value == 0) return std::nullopt;
  return value;
}

/// The character that "&name;" stands for.
std::optional<std::uint32_t> reference(std::string_view name) {
  if (name.starts_with('#')) return numeric_reference(name.substr(1));
  const auto found =
      std::lower_bound(kEntities.begin(), kEntities.end(), name,
                       [](const auto& entry, std::string_view key) { return entry.first < key; });
  if (found == kEntities.end() || found->first != name) return std::nullopt;
  return found->second;
}

}  // namespace

void append_unescaped(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const std::size_t ampersand = std::min(text.find('&'), text.size());
    out.append(text.substr(0, ampersand));
    text.remove_prefix(ampersand);
    if (text.empty()) return;
    const std::size_t end = text.substr(0, kLongestReference + 2).find(';');
    const auto character = end == std::string_view::npos ? std::nullopt : reference(text.substr(1, end - 1));
    if (character && append_utf8(*character, out)) {
      text.remove_prefix(end + 1);
    } else {
      out.push_back('&');
      text.remove_prefix(1);
    }
  }
}

}  // namespace troupe::data::detail
