#include "data/permutation.h"

#include <bit>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace troupe::data {
namespace {

constexpr std::uint64_t kRounds = 6;

std::uint64_t feistel(const Random& random, std::uint16_t pool, int half_bits, std::uint64_t value) {
  const std::uint64_t half_mask = (std::uint64_t{1} << half_bits) - 1;
  std::uint64_t left = value >> half_bits;
  std::uint64_t right = value & half_mask;
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    const std::uint64_t counter = (round << 48) | (std::uint64_t{pool} << 32) | right;
    const std::uint64_t mixed = left ^ (random.bits(counter) & half_mask);
    left = std::exchange(right, mixed);
  }
  return (left << half_bits) | right;
}

}  // namespace

std::int64_t permute(const PermutationKey& key, std::int64_t size, std::int64_t index) {
  TROUPE_CHECK(0 <= index && index < size && size <= (std::int64_t{1} << 62), "index {} of {}", index, size);
  const Random random(key.seed, RandomPurpose::kDataOrder, key.stream);
  const int bits = std::bit_width(static_cast<std::uint64_t>(size - 1));
  const int half_bits = (bits + 1) / 2;
  auto value = static_cast<std::uint64_t>(index);
  do {
    value = feistel(random, key.pool, half_bits, value);
  } while (value >= static_cast<std::uint64_t>(size));
  return static_cast<std::int64_t>(value);
}

}  // namespace troupe::data
