#include "workers/init_from/expert_mapping.h"

#include <algorithm>
#include <numeric>

#include "base/index.h"

namespace troupe::workers {

std::vector<std::int64_t> map_experts(std::span<const std::int64_t> loads, std::int64_t experts) {
  const auto source_experts = std::ssize(loads);
  std::vector<std::int64_t> by_load(loads.size());
  std::iota(by_load.begin(), by_load.end(), 0);
  std::ranges::stable_sort(by_load,
                           [&](std::int64_t a, std::int64_t b) { return loads[at(a)] > loads[at(b)]; });

  std::vector<std::int64_t> sources;
  if (experts < source_experts) {
    sources.assign(by_load.begin(), by_load.begin() + experts);
    std::ranges::sort(sources);
    return sources;
  }
  const std::int64_t whole = experts / source_experts * source_experts;
  for (std::int64_t j = 0; j < whole; ++j) sources.push_back(j % source_experts);
  for (std::int64_t j = whole; j < experts; ++j) sources.push_back(by_load[at(j - whole)]);
  return sources;
}

}  // namespace troupe::workers
