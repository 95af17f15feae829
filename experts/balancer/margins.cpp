#include "experts/balancer/margins.h"

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/index.h"
#include "experts/router/top_k.h"
#include "experts/rows.h"

namespace troupe::experts {
namespace {

constexpr float kSmallest = 1.0F / 65536;    // 2^-16
constexpr std::uint32_t kBinShift = 23 - 2;  // of a float's mantissa, two bits tell bins apart
constexpr std::uint32_t kSmallestBits = std::bit_cast<std::uint32_t>(kSmallest);
constexpr std::int64_t kExpertBlock = 16;  // one cache line of a token's values

/// Lower border of the side's bin number `side` ≥ 1; of the next one: its upper border.
double border(int side) {
  const auto bits = kSmallestBits + (static_cast<std::uint32_t>(side - 1) << kBinShift);
  return static_cast<double>(std::bit_cast<float>(bits));
}

/// The k-th and (k+1)-th largest of v + b of each token. limits: [tokens, 2]
void find_limits(const Pass& pass, const SelectionInput& input, std::int64_t top_k, TensorView limits) {
  const std::int64_t tokens = input.values.rows();
  const ArenaScope scope(pass.arena);
  const TensorView biased = pass.arena.allocate({token_blocks(tokens), input.values.columns()});
  const TensorView largest = pass.arena.allocate({token_blocks(tokens), top_k + 1});
  const TensorView chosen = pass.arena.allocate({token_blocks(tokens), top_k + 1}, DType::kI32);
  for_tokens(pass.execution, tokens, [&](std::int64_t token, std::int64_t block) {
    const auto values = row(input.values, token);
    const auto shifted = row(biased, block);
    for (std::size_t i = 0; i < values.size(); ++i) shifted[i] = values[i] + input.bias[i];
    experts::top_k(shifted, ids(chosen, block), row(largest, block));
    std::ranges::copy(row(largest, block).last(2), row(limits, token).begin());
  });
}

/// limits: [2], the k-th and (k+1)-th largest; a chosen expert is itself among the first k.
float margin_of(float biased, const float* limits) {
  return biased - (biased >= limits[0] ? limits[1] : limits[0]);
}

}  // namespace

int bin_of_margin(float margin) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(margin) & 0x7fff'ffffU;
  if (bits < kSmallestBits) return kMarginSideBins;
  const auto side = std::min(static_cast<int>((bits - kSmallestBits) >> kBinShift) + 1, kMarginSideBins);
  return margin > 0.0F ? kMarginSideBins + side : kMarginSideBins - side;
}

double margin_of_bin(int bin) {
  const int side = bin > kMarginSideBins ? bin - kMarginSideBins : kMarginSideBins - bin;
  if (side == 0) return 0.0;
  const double middle = (border(side) + border(side + 1)) / 2.0;
  return bin > kMarginSideBins ? middle : -middle;
}

std::int64_t margins_memory(std::int64_t tokens, std::int64_t choices, std::int64_t top_k) {
  return tokens + token_blocks(tokens) * (choices + 2 * (top_k + 1));
}

void count_margins(const Pass& pass, const SelectionInput& input, std::int64_t top_k,
                   std::span<std::int64_t> histograms) {
  const ArenaScope scope(pass.arena);
  const std::int64_t tokens = input.values.rows();
  const std::int64_t experts = std::ssize(histograms) / kMarginBins;
  const TensorView limits = pass.arena.allocate({tokens, 2});
  find_limits(pass, input, top_k, limits);
  std::ranges::fill(histograms, 0);
  // Threads split experts: each has its own rows of the histogram.
  parallel_for(pass.execution, (experts + kExpertBlock - 1) / kExpertBlock, [&](std::int64_t block) {
    const std::int64_t end = std::min(experts, (block + 1) * kExpertBlock);
    for (std::int64_t token = 0; token < tokens; ++token) {
      const float* values = input.values.f32() + token * input.values.columns();
      for (std::int64_t i = block * kExpertBlock; i < end; ++i) {
        const float margin = margin_of(values[i] + input.bias[at(i)], limits.f32() + 2 * token);
        ++histograms[at(i * kMarginBins + bin_of_margin(margin))];
      }
    }
  });
}

double margin_of_rank(std::span<const std::int64_t> histogram, std::int64_t rank) {
  std::int64_t larger = 0;
  for (std::size_t bin = histogram.size(); bin-- > 0;) {
    larger += histogram[bin];
    if (larger >= rank) return margin_of_bin(static_cast<int>(bin));
  }
  throw Error(ErrorCode::kInternal, "margin number {} of {}", rank, larger);
}

}  // namespace troupe::experts
