#include "experts/balancer/balancer.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/error.h"

namespace troupe::experts {
namespace {

/// Zero bias, and what both balancers share.
class NoBalancer : public Balancer {
 public:
  explicit NoBalancer(std::int64_t experts) : bias_(static_cast<std::size_t>(experts), 0.0F) {}

  void update(const BalanceInput& input, double /*rate*/) override { check_size(input.counts.size()); }
  [[nodiscard]] std::span<const float> bias() const override { return bias_; }
  [[nodiscard]] std::span<const float> state() const override { return bias_; }
  void restore(std::span<const float> state) override {
    if (state.size() != bias_.size()) {
      throw Error(ErrorCode::kCorrupt, "a balancer's state has {} values, the layer has {} experts",
                  state.size(), bias_.size());
    }
    std::ranges::copy(state, bias_.begin());
  }

 protected:
  void check_size(std::size_t counts) const {
    TROUPE_CHECK(counts == bias_.size(), "{} counts for {} experts", counts, bias_.size());
  }
  std::vector<float> bias_;
};

/// b_i += rate * sign(mean(c) - c_i), decided in integers as Σc against N * c_i, so that no rounding
/// can flip a sign.
class SignBalancer final : public NoBalancer {
 public:
  using NoBalancer::NoBalancer;

  void update(const BalanceInput& input, double rate) override {
    const std::span<const std::int64_t> counts = input.counts;
    check_size(counts.size());
    const std::int64_t total = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
    const auto experts = static_cast<std::int64_t>(counts.size());
    const auto delta = static_cast<float>(rate);
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const std::int64_t scaled = experts * counts[i];
      if (scaled < total) bias_[i] += delta;
      if (scaled > total) bias_[i] -= delta;
    }
  }
};

}  // namespace

int margin_bins(const BalancerOptions& /*options*/) { return 0; }

std::unique_ptr<Balancer> make_balancer(const MoeOptions& options) {
  switch (options.balancer.kind) {
    case BalancerKind::kNone:
      return std::make_unique<NoBalancer>(options.experts);
    case BalancerKind::kSign:
      return std::make_unique<SignBalancer>(options.experts);
    default:
      throw Error(ErrorCode::kInternal, "balancer {}: not there",
                  kBalancerNames[static_cast<std::size_t>(options.balancer.kind)]);
  }
}

}  // namespace troupe::experts
