#include "experts/balancer/bias_state.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/index.h"

namespace troupe::experts {

BiasState::BiasState(std::int64_t experts, std::int64_t rows)
    : experts_(at(experts)), state_(experts_ * at(rows), 0.0F) {}

void BiasState::restore(std::span<const float> state) {
  if (state.size() != state_.size()) {
    throw Error(ErrorCode::kCorrupt, "a balancer's state has {} values, this one of {} experts keeps {}",
                state.size(), experts_, state_.size());
  }
  std::ranges::copy(state, state_.begin());
}

void BiasState::check_size(const BalanceInput& input) const {
  TROUPE_CHECK(input.counts.size() == experts_, "{} counts for {} experts", input.counts.size(), experts_);
}

std::int64_t routed_pairs(const BalanceInput& input) {
  return std::accumulate(input.counts.begin(), input.counts.end(), std::int64_t{0});
}

int load_sign(std::int64_t pairs, std::size_t experts, std::int64_t count) {
  const std::int64_t scaled = static_cast<std::int64_t>(experts) * count;
  return (scaled < pairs ? 1 : 0) - (scaled > pairs ? 1 : 0);
}

double load_error(std::int64_t pairs, std::size_t experts, std::int64_t count) {
  const std::int64_t missing = pairs - static_cast<std::int64_t>(experts) * count;
  return static_cast<double>(missing) / static_cast<double>(pairs);
}

}  // namespace troupe::experts
