#include "experts/router/selector.h"
#include "experts/router/top_k.h"

namespace troupe::experts {
namespace {

class TopKSelector final : public TokenSelector {
 public:
  explicit TopKSelector(const MoeOptions& options) : choices_(options.choices()), top_k_(options.top_k) {}

  [[nodiscard]] std::int64_t slots(std::int64_t /*tokens*/) const override { return top_k_; }
  [[nodiscard]] std::int64_t scratch_size() const override { return choices_ + top_k_; }

  void select_token(std::span<const float> values, std::span<const float> bias, std::span<float> scratch,
                    std::span<std::int32_t> chosen) const override {
    const auto biased = scratch.first(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) biased[i] = values[i] + bias[i];
    top_k(biased, chosen, scratch.subspan(values.size()));
  }

 private:
  std::int64_t choices_;
  std::int64_t top_k_;
};

}  // namespace

std::unique_ptr<TokenSelector> make_top_k_selector(const MoeOptions& options) {
  return std::make_unique<TopKSelector>(options);
}

}  // namespace troupe::experts
