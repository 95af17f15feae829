#pragma once
#include <cstdint>
#include <span>

namespace troupe::layout {

/// How far a layer's experts keep to domains of the corpus.
struct Specialization {
  double mutual_information = 0.0;        // between a pair's domain and its expert, bits; 0: independent
  double mutual_information_limit = 0.0;  // the most it could be: the smaller of the two entropies, bits
  double domain_distance =
      0.0;  // total variation of experts' shares, mean over pairs of domains; 1: disjoint
  bool operator==(const Specialization&) const = default;
};

/// counts: [domains * experts], (token, slot) pairs. All 0 without pairs, and with one domain only.
[[nodiscard]] Specialization specialization(std::span<const std::int64_t> counts, std::size_t experts);

}  // namespace troupe::layout
