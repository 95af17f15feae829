#include "layout/packed_counts.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>

#include "base/error.h"
#include "base/index.h"

namespace troupe::layout {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr int kDigitBits = 6;
constexpr int kByteBits = 8;
constexpr int kCountBits = 63;

[[noreturn]] void refuse(std::string_view text) {
  throw Error(ErrorCode::kCorrupt, "'{}' is no packed table of counts", text.substr(0, 40));
}

std::string to_base64(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) group = group << kByteBits | (j < left ? bytes[i + j] : 0U);
    for (std::size_t j = 0; j < 4; ++j)
      text += j <= left ? kDigits[group >> (kDigitBits * (3 - j)) & 63U] : '=';
  }
  return text;
}

std::vector<std::uint8_t> from_base64(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  if (text.size() % 4 != 0) refuse(text);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t group = 0;
    std::size_t digits = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const auto value = kDigits.find(text[i + j]);
      const bool padding = text[i + j] == '=' && i + 4 == text.size() && j >= 2;
      if (value == std::string_view::npos ? !padding : digits != j) refuse(text);
      if (!padding) ++digits;
      group = group << kDigitBits | (padding ? 0U : static_cast<std::uint32_t>(value));
    }
    for (std::size_t j = 0; j + 1 < digits; ++j)
      bytes.push_back(static_cast<std::uint8_t>(group >> (kByteBits * (2 - j))));
  }
  return bytes;
}

/// The number before the next comma, which goes with it.
std::int64_t take_number(std::string_view& rest, std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error != std::errc() || end == rest.data() + rest.size() || *end != ',' || number < 0) refuse(text);
  rest.remove_prefix(at(end - rest.data() + 1));
  return number;
}

}  // namespace

std::string pack_counts(std::span<const std::int64_t> counts) {
  if (counts.empty()) return "0,0,0,";
  const auto [least, most] = std::ranges::minmax(counts);
  TROUPE_CHECK(least >= 0, "a count of {}", least);
  const int bits = std::bit_width(static_cast<std::uint64_t>(most - least));
  std::vector<std::uint8_t> bytes((counts.size() * at(bits) + kByteBits - 1) / kByteBits);
  std::size_t place = 0;  // in bits
  for (const std::int64_t count : counts) {
    const auto value = static_cast<std::uint64_t>(count - least);
    for (int bit = 0; bit < bits; ++bit, ++place)
      bytes[place / kByteBits] |= static_cast<std::uint8_t>((value >> bit & 1U) << (place % kByteBits));
  }
  return fmt::format("{},{},{},{}", counts.size(), least, bits, to_base64(bytes));
}

std::vector<std::int64_t> unpack_counts(std::string_view text) {
  std::string_view rest = text;
  const std::int64_t size = take_number(rest, text);
  const std::int64_t least = take_number(rest, text);
  const std::int64_t bits = take_number(rest, text);
  const std::vector<std::uint8_t> bytes = from_base64(rest);
  constexpr std::int64_t kMost = std::int64_t{1} << 32;  // experts × experts of one layer
  if (bits > kCountBits || size > kMost || std::ssize(bytes) != (size * bits + kByteBits - 1) / kByteBits)
    refuse(text);
  std::vector<std::int64_t> counts(at(size), least);
  std::size_t place = 0;
  for (std::int64_t& count : counts) {
    std::uint64_t value = 0;
    for (std::int64_t bit = 0; bit < bits; ++bit, ++place)
      value |= std::uint64_t{bytes[place / kByteBits] >> (place % kByteBits) & 1U} << bit;
    count += static_cast<std::int64_t>(value);
  }
  return counts;
}

}  // namespace troupe::layout
