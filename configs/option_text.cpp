#include "configs/option_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

namespace troupe::configs {
namespace {

template <class T>
std::string ranged(std::string_view noun, Range<T> range) {
  const bool low = range.low != std::numeric_limits<T>::lowest();
  const bool high = range.high != std::numeric_limits<T>::max();
  if (low && high) return fmt::format("{} from {} to {}", noun, range.low, range.high);
  if (low) return fmt::format("{} of at least {}", noun, range.low);
  if (high) return fmt::format("{} of at most {}", noun, range.high);
  return std::string(noun);
}

bool is_plain(std::string_view value) {
  constexpr std::string_view kOther = "_-./";
  if (value.empty() || (std::isalpha(static_cast<unsigned char>(value.front())) == 0 && value.front() != '/'))
    return false;
  if (value == "null" || value == "true" || value == "false" || value == "auto") return false;
  return std::ranges::all_of(value, [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || kOther.find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string integer_kind(IntegerRange range) {
  if (range.low == range.high) return fmt::format("{}", range.low);
  return ranged("an integer", range);
}

std::string real_kind(RealRange range) { return ranged("a number", range); }

std::string choice_kind(std::span<const std::string_view> names) {
  if (names.size() == 1) return std::string(names.front());
  return fmt::format("one of {}", fmt::join(names, ", "));
}

std::string real_text(double value) {
  std::string text = fmt::format("{}", value);
  // YAML 1.1 reads a number with an exponent as text unless it has a point, too.
  const auto exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos) text.insert(exponent, ".0");
  return text;
}

std::string text_text(std::string_view value) {
  if (is_plain(value)) return std::string(value);
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string schedule_text(const Schedule& value) {
  if (value.from == value.to) return real_text(value.from);
  return fmt::format("{{from: {}, to: {}}}", real_text(value.from), real_text(value.to));
}

}  // namespace troupe::configs
