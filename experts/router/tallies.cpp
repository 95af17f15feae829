#include "experts/router/tallies.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/index.h"

namespace troupe::experts {
namespace {

std::span<const std::int32_t> slots_of(const ConstTensorView& chosen, std::int64_t token) {
  const auto slots = at(chosen.columns());
  return {chosen.i32() + at(token) * slots, slots};
}

void count_domains(const ConstTensorView& chosen, const ConstTensorView& domains, std::size_t choices,
                   std::span<std::int64_t> counts) {
  for (std::int64_t token = 0; token < domains.elements(); ++token) {
    const auto row = at(domains.i32()[token]) * choices;
    for (const std::int32_t choice : slots_of(chosen, token)) {
      if (choice >= 0) ++counts[row + at(choice)];
    }
  }
}

void count_pairs(const ConstTensorView& chosen, std::span<std::int64_t> counts) {
  const auto experts = static_cast<std::int32_t>(std::lround(std::sqrt(static_cast<double>(counts.size()))));
  for (std::int64_t token = 0; token < chosen.rows(); ++token) {
    const auto slots = slots_of(chosen, token);
    for (std::size_t a = 0; a < slots.size(); ++a) {
      for (std::size_t b = a + 1; b < slots.size(); ++b) {
        const auto [low, high] = std::minmax(slots[a], slots[b]);
        if (low < 0 || high >= experts) continue;
        ++counts[at(low) * at(experts) + at(high)];
      }
    }
  }
}

}  // namespace

void tally(ConstTensorView chosen, ConstTensorView domains, const layout::LayerStatistics& load) {
  std::ranges::fill(load.domains, 0);
  std::ranges::fill(load.co_activation, 0);
  if (!load.domains.empty() && domains.data() != nullptr)
    count_domains(chosen, domains, load.counts.size(), load.domains);
  if (!load.co_activation.empty()) count_pairs(chosen, load.co_activation);
}

}  // namespace troupe::experts
