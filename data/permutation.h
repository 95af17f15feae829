#pragma once
#include <cstdint>

namespace troupe::data {

/// One permutation of [0, size): the one of (seed, stream, pool).
struct PermutationKey {
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;  // e.g. the epoch
  std::uint16_t pool = 0;    // what is permuted
};

/// Image of 0 ≤ index < size ≤ 2^62 under that permutation, in constant time and memory: a Feistel
/// network over the next power of four with Philox as round function, walked until it lands inside
/// (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
[[nodiscard]] std::int64_t permute(const PermutationKey& key, std::int64_t size, std::int64_t index);

}  // namespace troupe::data
