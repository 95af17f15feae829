#include "model/reward_head.h"

#include <algorithm>

#include "base/index.h"
#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::model {

void RewardHead::declare(layers::Declaration& declaration, std::int64_t hidden_size) {
  declaration.matrix("weight", ParameterRole::kGate, 1, hidden_size, 0.0);
  // At most every token ends a half: the rows, their gradients, rewards and their gradients.
  declaration.use_in_backward(declaration.tokens() * hidden_size, 2);
  declaration.use_in_backward(declaration.tokens(), 2);
}

/// [2 * pairs, hidden]: of every pair the row of the chosen half's last token, then the rejected one's.
TensorView RewardHead::last_tokens(const Pass& pass, ConstTensorView x) const {
  const auto& pairs = pass.microbatch.pairs;
  const std::int64_t hidden = x.columns();
  const TensorView rows = pass.arena.allocate({2 * std::ssize(pairs), hidden});
  for (std::int64_t i = 0; i < std::ssize(pairs); ++i) {
    const PreferencePair& pair = pairs[at(i)];
    std::ranges::copy(x.rows(pair.rejected - 1, 1).floats(), rows.rows(2 * i, 1).floats().begin());
    std::ranges::copy(x.rows(pair.end - 1, 1).floats(), rows.rows(2 * i + 1, 1).floats().begin());
  }
  return rows;
}

void RewardHead::score(const Pass& pass, ConstTensorView x, std::span<PairScores> scores) const {
  const ArenaScope scope(pass.arena);
  const TensorView rows = last_tokens(pass, x);
  const TensorView rewards = pass.arena.allocate({rows.rows(), 1});
  projection_.forward(pass.execution, pass.dense, rows, rewards);
  for (std::size_t i = 0; i < scores.size(); ++i)
    scores[i] = {rewards.floats()[2 * i], rewards.floats()[2 * i + 1]};
}

void RewardHead::forward_backward(const Pass& pass, ConstTensorView x, const ObjectiveOptions& objective,
                                  double scale, std::span<PairScores> scores, TensorView dx) const {
  score(pass, x, scores);
  const ArenaScope scope(pass.arena);
  const auto& pairs = pass.microbatch.pairs;
  const TensorView rows = last_tokens(pass, x);
  const TensorView slopes = pass.arena.allocate({rows.rows(), 1});
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const double slope = scale * pair_loss(margin_of(objective, pairs[i], scores[i])).slope;
    slopes.floats()[2 * i] = static_cast<float>(slope);
    slopes.floats()[2 * i + 1] = static_cast<float>(-slope);
  }
  projection_.weight_gradients(pass.execution, slopes, rows, pass.dense_gradient);
  const TensorView row_gradients = pass.arena.allocate(rows.shape());
  projection_.backward(pass.execution, pass.dense, slopes, row_gradients);
  ops::zero(pass.execution, dx);
  for (std::int64_t i = 0; i < std::ssize(pairs); ++i) {
    const PreferencePair& pair = pairs[at(i)];
    std::ranges::copy(row_gradients.rows(2 * i, 1).floats(), dx.rows(pair.rejected - 1, 1).floats().begin());
    std::ranges::copy(row_gradients.rows(2 * i + 1, 1).floats(), dx.rows(pair.end - 1, 1).floats().begin());
  }
}

}  // namespace troupe::model
