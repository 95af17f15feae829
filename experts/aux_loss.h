#pragma once
#include <cstdint>
#include <span>

namespace troupe::experts {

/// Shares f_i = c_i / Σc of a batch's routed pairs; uniform when there are none (an empty span too).
///   counts: [experts] or empty; frequencies: [experts], written
void load_frequencies(std::span<const std::int64_t> counts, std::span<double> frequencies);

/// N Σ_i f_i P_i times the tokens, with P summed instead of averaged; 1 per token when balanced
/// (arXiv 2101.03961 eq. 4).
///   probability_sums: [experts], Σ_t p_ti
[[nodiscard]] double load_balance_loss(std::span<const double> frequencies,
                                       std::span<const double> probability_sums);

}  // namespace troupe::experts
