#include "base/index.h"
#include "base/random.h"
#include "experts/router/selector.h"

namespace troupe::experts {
namespace {

constexpr double kEvaluationThreshold = 0.5;

class GshardSelector final : public TokenSelector {
 public:
  GshardSelector(const MoeOptions& options, std::int64_t layer)
      : two_best_(make_top_k_selector(options)), layer_(static_cast<std::uint32_t>(layer)) {}

  [[nodiscard]] std::int64_t slots(std::int64_t tokens) const override { return two_best_->slots(tokens); }
  [[nodiscard]] std::int64_t scratch_size() const override { return two_best_->scratch_size(); }

  void select_token(std::span<const float> values, std::span<const float> bias, std::span<float> scratch,
                    std::span<std::int32_t> chosen) const override {
    two_best_->select_token(values, bias, scratch, chosen);
  }

  [[nodiscard]] bool thins() const override { return true; }

  void thin(const Pass& pass, std::int64_t token, std::span<const float> scores,
            std::span<std::int32_t> chosen) const override {
    const double first = scores[at(chosen[0])];
    const double second = scores[at(chosen[1])];
    if (!(2.0 * second > threshold(pass, token) * (first + second))) chosen[1] = -1;
  }

 private:
  [[nodiscard]] double threshold(const Pass& pass, std::int64_t token) const {
    if (!pass.training) return kEvaluationThreshold;
    return Random(pass.seed, RandomPurpose::kSecondExpert, layer_)
        .uniform(static_cast<std::uint64_t>(pass.microbatch.first_token + token));
  }

  std::unique_ptr<TokenSelector> two_best_;
  std::uint32_t layer_;
};

}  // namespace

std::unique_ptr<TokenSelector> make_gshard_selector(const MoeOptions& options, std::int64_t layer) {
  return std::make_unique<GshardSelector>(options, layer);
}

}  // namespace troupe::experts
