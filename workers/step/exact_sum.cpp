#include "workers/step/exact_sum.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/index.h"

namespace troupe::workers::exact_sum {
namespace {

constexpr int kDigitBits = 32;
constexpr int kSmallestExponent = -1074;  // of the smallest double
constexpr int kMantissaBits = 53;
constexpr std::int64_t kDigitMask = (std::int64_t{1} << kDigitBits) - 1;

using Digits = std::array<std::int64_t, kDigits>;

/// The same number with digits in range, but for the last, which has the sign.
Digits carried(std::span<const std::int64_t> words) {
  Digits digits{};
  std::int64_t carry = 0;
  for (std::size_t i = 0; i < kDigits; ++i) {
    const std::int64_t digit = words[i] + carry;
    const bool last = i + 1 == kDigits;
    digits[i] = last ? digit : digit & kDigitMask;
    carry = last ? 0 : digit >> kDigitBits;  // towards minus infinity
  }
  return digits;
}

/// Of digits that are not negative.
double rounded(const Digits& digits) {
  std::size_t top = kDigits;
  while (top > 0 && digits[top - 1] == 0) --top;
  if (top == 0) return 0.0;
  const auto digit = [&](std::size_t below) {  // below the first one
    return top > below ? static_cast<std::uint64_t>(digits[top - 1 - below]) : std::uint64_t{0};
  };
  const int shift = kDigitBits - std::bit_width(digit(0));  // 0..31: to make the first bit the highest
  std::uint64_t bits = (digit(0) << kDigitBits | digit(1)) << shift;
  std::uint64_t rest = digit(2) << shift;
  bits |= rest >> kDigitBits;
  rest &= static_cast<std::uint64_t>(kDigitMask);
  for (std::size_t i = 3; i < top; ++i) rest |= digit(i);
  if (rest != 0) bits |= 1;  // far below the last bit that stays: decides halves only
  const int exponent = kSmallestExponent + kDigitBits * (static_cast<int>(top) - 2) - shift;
  return std::ldexp(static_cast<double>(bits), exponent);
}

}  // namespace

void add(double value, std::span<std::int64_t> words) {
  TROUPE_CHECK(words.size() == kWords, "an exact sum of {} words", words.size());
  if (!std::isfinite(value)) {
    ++words[kDigits];
    return;
  }
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);  // value = fraction * 2^exponent, |fraction| < 1
  auto mantissa = static_cast<std::int64_t>(std::ldexp(fraction, kMantissaBits));
  int place = exponent - kMantissaBits - kSmallestExponent;  // of the mantissa's lowest bit
  if (place < 0) {                                           // a subnormal number: these bits are zero
    mantissa >>= -place;
    place = 0;
  }
  const std::int64_t sign = mantissa < 0 ? -1 : 1;
  const auto magnitude = static_cast<std::uint64_t>(sign * mantissa);
  const int shift = place % kDigitBits;
  const std::uint64_t low = (magnitude & static_cast<std::uint64_t>(kDigitMask)) << shift;
  const std::uint64_t high = (magnitude >> kDigitBits) << shift;  // 21 + 31 bits
  const auto first = at(place / kDigitBits);
  words[first] += sign * static_cast<std::int64_t>(low & static_cast<std::uint64_t>(kDigitMask));
  const std::uint64_t middle = (low >> kDigitBits) + (high & static_cast<std::uint64_t>(kDigitMask));
  words[first + 1] += sign * static_cast<std::int64_t>(middle);
  words[first + 2] += sign * static_cast<std::int64_t>(high >> kDigitBits);
}

double value_of(std::span<const std::int64_t> words) {
  TROUPE_CHECK(words.size() == kWords, "an exact sum of {} words", words.size());
  if (words[kDigits] != 0) return std::numeric_limits<double>::quiet_NaN();
  Digits digits = carried(words);
  if (digits.back() >= 0) return rounded(digits);
  for (std::int64_t& digit : digits) digit = -digit;
  return -rounded(carried(digits));
}

}  // namespace troupe::workers::exact_sum
