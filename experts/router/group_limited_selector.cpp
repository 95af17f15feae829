#include <algorithm>
#include <cmath>
#include <limits>

#include "base/index.h"
#include "experts/router/selector.h"
#include "experts/router/top_k.h"

namespace troupe::experts {
namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();

/// Below every value of an excluded group's rival, above exclusion: NaN is chosen last, but in its group.
float comparable(float value) {
  return value > std::numeric_limits<float>::lowest() ? value : std::numeric_limits<float>::lowest();
}

float best_of(std::span<const float> group) { return *std::ranges::max_element(group); }

float two_best_of(std::span<const float> group) {
  float first = kExcluded;
  float second = kExcluded;
  for (const float value : group) {
    second = std::max(second, std::min(first, value));
    first = std::max(first, value);
  }
  return group.size() > 1 ? first + second : first;
}

class GroupLimitedSelector final : public TokenSelector {
 public:
  explicit GroupLimitedSelector(const MoeOptions& options)
      : top_k_(options.top_k),
        groups_(at(options.router.groups)),
        group_size_(at(options.experts / options.router.groups)),
        top_groups_(at(options.router.top_groups)),
        rank_(options.router.group_score == GroupScore::kMax ? best_of : two_best_of) {}

  [[nodiscard]] std::int64_t slots(std::int64_t /*tokens*/) const override { return top_k_; }
  [[nodiscard]] std::int64_t scratch_size() const override {
    return static_cast<std::int64_t>(groups_ * (2 * group_size_ + 3)) + top_k_;
  }

  void select_token(std::span<const float> values, std::span<const float> bias, std::span<float> scratch,
                    std::span<std::int32_t> chosen) const override {
    const auto biased = take(scratch, values.size());
    for (std::size_t i = 0; i < values.size(); ++i) biased[i] = comparable(values[i] + bias[i]);
    const auto scores = take(scratch, groups_);
    for (std::size_t g = 0; g < groups_; ++g) scores[g] = rank_(group(biased, g));
    const auto kept = take(scratch, values.size());
    std::ranges::fill(kept, kExcluded);
    for (std::size_t rank = 0; rank < top_groups_; ++rank) {
      const std::size_t best = at(std::ranges::max_element(scores) - scores.begin());
      std::ranges::copy(group(biased, best), group(kept, best).begin());
      scores[best] = kExcluded;
    }
    top_k(kept, chosen, scratch);
  }

 private:
  static std::span<float> take(std::span<float>& from, std::size_t count) {
    const auto taken = from.first(count);
    from = from.subspan(count);
    return taken;
  }
  [[nodiscard]] std::span<float> group(std::span<float> experts, std::size_t index) const {
    return experts.subspan(index * group_size_, group_size_);
  }

  std::int64_t top_k_;
  std::size_t groups_, group_size_, top_groups_;
  float (*rank_)(std::span<const float> group);
};

}  // namespace

std::unique_ptr<TokenSelector> make_group_limited_selector(const MoeOptions& options) {
  return std::make_unique<GroupLimitedSelector>(options);
}

}  // namespace troupe::experts
