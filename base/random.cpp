#include "base/random.h"

#include <Random123/philox.h>

#include <cmath>
#include <numbers>

namespace troupe {
namespace {
constexpr double kTwoToMinus53 = 0x1.0p-53;

double to_unit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * kTwoToMinus53; }
std::uint64_t join(std::uint32_t low, std::uint32_t high) {
  return low | (static_cast<std::uint64_t>(high) << 32);
}
}  // namespace

std::array<std::uint32_t, 4> Random::words(std::uint64_t index) const {
  const r123::Philox4x32::ctr_type counter{
      {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), stream_, purpose_}};
  const r123::Philox4x32::key_type key{
      {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)}};
  const auto result = r123::Philox4x32{}(counter, key);
  return {result[0], result[1], result[2], result[3]};
}

std::uint64_t Random::bits(std::uint64_t index) const {
  const auto w = words(index);
  return join(w[0], w[1]);
}

double Random::uniform(std::uint64_t index) const { return to_unit(bits(index)); }

std::uint64_t Random::below(std::uint64_t index, std::uint64_t bound) const {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(bits(index)) * bound) >> 64);
}

double Random::normal(std::uint64_t index) const {
  const auto w = words(index);
  const double radius = std::sqrt(-2.0 * std::log(1.0 - to_unit(join(w[0], w[1]))));
  return radius * std::cos(2.0 * std::numbers::pi * to_unit(join(w[2], w[3])));
}

double Random::truncated_normal(std::uint64_t index, double limit) const {
  constexpr int kIndexBits = 48;  // the rest of the counter numbers the attempts
  for (std::uint64_t attempt = 0;; ++attempt) {
    const double value = normal(index | (attempt << kIndexBits));
    if (std::abs(value) <= limit) return value;
  }
}

}  // namespace troupe
