#include "cli/terminal/terminal_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace troupe::cli {
namespace {

/// Scaled below 1000, as it will be after rounding to three digits; what is too large for every unit, or no
/// number, is written as it is.
std::string scaled(double value, std::span<const std::string_view> units) {
  if (!(std::abs(value) < 999.5 * std::pow(1000.0, static_cast<double>(units.size() - 1))))
    return fmt::format("{:.3g}{}", value, units[0]);
  std::size_t unit = 0;
  while (std::abs(value) >= 999.5) {
    value /= 1000.0;
    ++unit;
  }
  const bool is_whole = unit == 0 && value == std::floor(value);
  return is_whole ? fmt::format("{:.0f}{}", value, units[unit]) : fmt::format("{:.3g}{}", value, units[unit]);
}

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

}  // namespace

std::string count_text(double count) {
  static constexpr std::array<std::string_view, 5> kUnits{"", "k", "M", "G", "T"};
  return scaled(count, kUnits);
}

std::string bytes_text(std::int64_t bytes) {
  static constexpr std::array<std::string_view, 5> kUnits{" B", " kB", " MB", " GB", " TB"};
  return scaled(static_cast<double>(bytes), kUnits);
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(std::max(seconds, 0.0)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  return fmt::format("{} d {:02} h", whole / 86400, whole % 86400 / 3600);
}

std::string printable(std::string_view text) {
  std::string result(text);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const auto byte = static_cast<unsigned char>(result[i]);
    const bool is_c0 = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F;
    // U+0080 to U+009F are control characters too: 0xC2 0x80 to 0xC2 0x9F.
    const bool is_c1 =
        byte == 0xC2 && i + 1 < result.size() && static_cast<unsigned char>(result[i + 1]) < 0xA0;
    if (is_c1) result.erase(i, 1);
    if (is_c0 || is_c1) result[i] = '?';
  }
  return result;
}

std::string clipped(std::string_view text, std::size_t columns) {
  std::size_t end = 0;
  for (std::size_t characters = 0; end < text.size(); ++end) {
    if (!continues_character(text[end]) && ++characters > columns) break;
  }
  return std::string(text.substr(0, end));
}

std::string indented(std::string_view text, std::string_view margin) {
  std::string result(margin);
  for (const char character : text) {
    result += character;
    if (character == '\n') result += margin;
  }
  return result;
}

std::string status_text(const StatusNumbers& numbers) {
  std::string text = fmt::format("step {}/{}", numbers.step, numbers.last_step);
  if (numbers.loss) text += fmt::format("  loss {:.4f}", *numbers.loss);
  if (numbers.margin) text += fmt::format("  margin {:.3f}", *numbers.margin);
  if (numbers.accuracy) text += fmt::format("  preferred {:.0f} %", 100.0 * *numbers.accuracy);
  if (numbers.tokens_per_second) text += fmt::format("  {} tokens/s", count_text(*numbers.tokens_per_second));
  if (numbers.mfu) text += fmt::format("  MFU {:.0f} %", 100.0 * *numbers.mfu);
  if (numbers.max_violation) text += fmt::format("  MaxVio {:.2f}", *numbers.max_violation);
  if (numbers.seconds_left) text += fmt::format("  {} left", duration_text(*numbers.seconds_left));
  return text;
}

}  // namespace troupe::cli
