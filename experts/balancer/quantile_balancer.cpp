#include <vector>

#include "base/error.h"
#include "experts/balancer/bias_state.h"
#include "experts/balancer/margins.h"

namespace troupe::experts {
namespace {

class QuantileBalancer final : public BiasState {
 public:
  explicit QuantileBalancer(const MoeOptions& options);
  void update(const BalanceInput& input, double rate) override;

 private:
  std::int64_t top_k_;
  std::vector<double> moved_;  // [experts]
};

QuantileBalancer::QuantileBalancer(const MoeOptions& options)
    : BiasState(options.experts), top_k_(options.top_k), moved_(experts()) {}

void QuantileBalancer::update(const BalanceInput& input, double rate) {
  check_size(input);
  TROUPE_CHECK(input.margins.size() == experts() * kMarginBins, "{} bins of margins for {} experts",
               input.margins.size(), experts());
  if (input.tokens == 0) return;
  const std::int64_t rank = top_k_ * input.tokens / static_cast<std::int64_t>(experts()) + 1;
  double sum = 0.0;
  for (std::size_t i = 0; i < experts(); ++i) {
    const double cut = margin_of_rank(input.margins.subspan(i * kMarginBins, kMarginBins), rank);
    moved_[i] = static_cast<double>(row(0)[i]) - rate * cut;
    sum += moved_[i];
  }
  const double mean = sum / static_cast<double>(experts());
  for (std::size_t i = 0; i < experts(); ++i) row(0)[i] = static_cast<float>(moved_[i] - mean);
}

}  // namespace

std::unique_ptr<Balancer> make_quantile_balancer(const MoeOptions& options) {
  return std::make_unique<QuantileBalancer>(options);
}

}  // namespace troupe::experts
