#include "experts/router/selector.h"

#include "base/error.h"
#include "experts/router/top_k.h"
#include "experts/rows.h"

namespace troupe::experts {
namespace {

/// top_k of value + bias.
class TopKSelector final : public Selector {
 public:
  explicit TopKSelector(std::int64_t top_k) : top_k_(top_k) {}

  [[nodiscard]] std::int64_t slots(std::int64_t /*tokens*/) const override { return top_k_; }

  void select(const Pass& pass, const SelectionInput& input, TensorView chosen) const override {
    const std::int64_t tokens = input.values.rows();
    const ArenaScope scope(pass.arena);
    const TensorView biased = pass.arena.allocate({token_blocks(tokens), input.values.columns()});
    const TensorView scratch = pass.arena.allocate({token_blocks(tokens), top_k_});
    for_tokens(pass.execution, tokens, [&](std::int64_t token, std::int64_t block) {
      const auto values = row(input.values, token);
      const auto shifted = row(biased, block);
      for (std::size_t i = 0; i < values.size(); ++i) shifted[i] = values[i] + input.bias[i];
      top_k(shifted, ids(chosen, token), row(scratch, block));
    });
  }

 private:
  std::int64_t top_k_;
};

}  // namespace

std::unique_ptr<Selector> make_selector(const MoeOptions& options) {
  TROUPE_CHECK(options.router.selection == Selection::kTopK, "selection {}: not there",
               kSelectionNames[static_cast<std::size_t>(options.router.selection)]);
  return std::make_unique<TopKSelector>(options.top_k);
}

}  // namespace troupe::experts
