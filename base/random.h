#pragma once
#include <array>
#include <cstdint>

namespace troupe {

/// What a random number is for. Part of its key, so no two purposes share numbers.
enum class RandomPurpose : std::uint32_t {
  kInit = 1,
  kDataOrder = 2,
  kSampling = 3,
  kRouter = 4,  // noise on its logits
  kTest = 5,
  kRouterJitter = 6,
  kSecondExpert = 7,
  kDropout = 8,
  kFfnDropout = 9,
  kAttentionDropout = 10,
  kExpertDropout = 11,
  kTasks = 20,  // questions that are made up
};

/// Counter-based random numbers (Philox4x32-10, Salmon et al. 2011, from Random123): the number is
/// a pure function of (seed, purpose, stream, index), never of a worker, thread or call order.
class Random {
 public:
  Random(std::uint64_t seed, RandomPurpose purpose, std::uint32_t stream = 0)
      : seed_(seed), purpose_(static_cast<std::uint32_t>(purpose)), stream_(stream) {}

  /// Four independent 32-bit words for this index.
  [[nodiscard]] std::array<std::uint32_t, 4> words(std::uint64_t index) const;
  /// 64 uniform bits.
  [[nodiscard]] std::uint64_t bits(std::uint64_t index) const;
  /// Uniform in [0, 1), 53 bits.
  [[nodiscard]] double uniform(std::uint64_t index) const;
  /// Uniform in [0, bound), unbiased to 2^-64·bound; bound > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t index, std::uint64_t bound) const;
  /// Standard normal (Box-Muller on two uniforms of this index).
  [[nodiscard]] double normal(std::uint64_t index) const;
  /// Standard normal within ±limit: values outside are drawn again, so none gathers at the borders.
  /// index < 2^48, limit ≥ 1.
  [[nodiscard]] double truncated_normal(std::uint64_t index, double limit) const;

 private:
  std::uint64_t seed_;
  std::uint32_t purpose_;
  std::uint32_t stream_;
};

}  // namespace troupe
