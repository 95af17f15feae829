#pragma once
#include <cstdint>
#include <span>

#include "experts/router/selector.h"
#include "layers/pass.h"

namespace troupe::experts {

/// The margin of a token and an expert is how far its biased value lies above what the expert needs to be
/// chosen: m_ti = v_ti + b_i - (the k-th largest v_tj + b_j of the other experts j). Chosen experts have
/// margins ≥ 0, others ≤ 0; 0 means a tie. v are scores, or logits with softmax_after_topk.
///
/// Histograms have a logarithmic scale on both sides of 0, four bins per power of two from 2^-16 to 2^4, so
/// one scale fits scores (a spread of 1/N for softmax, 1 for sigmoid) and logits. A bin's middle is within an
/// eighth of every margin in it: a cut is wrong by a fraction of itself, and the balancer, which repeats a
/// damped step, still arrives. Below 2^-16 a margin counts as 0; beyond 2^4 it is in the last bin.
/// A bin is found from the bits of the float: the same on every machine.
inline constexpr int kMarginSideBins = 80;
inline constexpr int kMarginBins = 2 * kMarginSideBins + 1;

/// The bin of a margin: 0 is the most negative, kMarginSideBins is around 0. NaN is in an outermost one.
[[nodiscard]] int bin_of_margin(float margin);

/// The middle of a bin; 0 of the one around 0.
[[nodiscard]] double margin_of_bin(int bin);

/// Elements of 4 bytes of the arena that count_margins() takes.
[[nodiscard]] std::int64_t margins_memory(std::int64_t tokens, std::int64_t choices, std::int64_t top_k);

/// Counts the margins of a microbatch for every expert.
///   input.values: [tokens, choices], choices > top_k; histograms: [experts * kMarginBins], overwritten; the
///   experts are the first choices
void count_margins(const Pass& pass, const SelectionInput& input, std::int64_t top_k,
                   std::span<std::int64_t> histograms);

/// The rank-th largest margin, as the middle of its bin; rank 1 is the largest, histogram has that many.
///   histogram: [kMarginBins]
[[nodiscard]] double margin_of_rank(std::span<const std::int64_t> histogram, std::int64_t rank);

}  // namespace troupe::experts
