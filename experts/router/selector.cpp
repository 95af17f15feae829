#include "experts/router/selector.h"

#include "experts/rows.h"

namespace troupe::experts {

void TokenSelector::select(const Pass& pass, const SelectionInput& input, TensorView chosen) const {
  const std::int64_t tokens = input.values.rows();
  const ArenaScope scope(pass.arena);
  const TensorView scratch = pass.arena.allocate({token_blocks(tokens), scratch_size()});
  for_tokens(pass.execution, tokens, [&](std::int64_t token, std::int64_t block) {
    select_token(row(input.values, token), input.bias, row(scratch, block), ids(chosen, token));
    if (thins()) thin(pass, token, row(input.values, token), ids(chosen, token));
  });
}

std::int64_t TokenSelector::memory(std::int64_t tokens) const {
  return token_blocks(tokens) * scratch_size();
}

std::unique_ptr<Selector> make_selector(const MoeOptions& options, std::int64_t layer) {
  switch (options.router.selection) {
    case Selection::kTopK:
    case Selection::kNoisyTopK:  // of noisy logits
      return make_top_k_selector(options);
    case Selection::kGshardSecond:
      return make_gshard_selector(options, layer);
    case Selection::kGroupLimited:
      return make_group_limited_selector(options);
    case Selection::kExpertChoice:
      return make_expert_choice_selector(options);
    case Selection::kSinkhorn:
      break;
  }
  return make_sinkhorn_selector(options);
}

}  // namespace troupe::experts
