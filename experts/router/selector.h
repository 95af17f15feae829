#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "experts/options.h"
#include "layers/pass.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// What a selection goes by, of one microbatch.
struct SelectionInput {
  ConstTensorView values;       // [tokens, choices]: scores, or logits with softmax_after_topk
  ConstTensorView logits;       // [tokens, choices]
  std::span<const float> bias;  // [choices], balance bias
};

class TokenSelector;

/// Chooses the experts of a microbatch's tokens. One per router; a pure function of its input and of the
/// microbatch's random numbers, so the same on every layout and number of threads.
class Selector {
 public:
  virtual ~Selector() = default;

  /// Columns of `chosen`: the most experts that a token can have. tokens: of the microbatch
  [[nodiscard]] virtual std::int64_t slots(std::int64_t tokens) const = 0;

  /// chosen: [tokens, slots] i32, best first (expert_choice: by ascending id), distinct in a row; -1 in
  /// slots that stay empty, which are a row's last
  virtual void select(const Pass& pass, const SelectionInput& input, TensorView chosen) const = 0;

  /// Elements of 4 bytes of the arena that select() takes.
  [[nodiscard]] virtual std::int64_t memory(std::int64_t tokens) const = 0;

  /// This selector, when it chooses for each token by that token alone; else null.
  [[nodiscard]] virtual const TokenSelector* per_token() const { return nullptr; }
};

class TokenSelector : public Selector {
 public:
  [[nodiscard]] const TokenSelector* per_token() const final { return this; }

  /// select_token() for every token.
  void select(const Pass& pass, const SelectionInput& input, TensorView chosen) const final;

  [[nodiscard]] std::int64_t memory(std::int64_t tokens) const final;

  /// Floats that select_token() may use.
  [[nodiscard]] virtual std::int64_t scratch_size() const = 0;

  /// values, scratch, chosen: the token's. Thread-safe.
  virtual void select_token(std::span<const float> values, std::span<const float> bias,
                            std::span<float> scratch, std::span<std::int32_t> chosen) const = 0;

  /// Whether thin() may empty slots.
  [[nodiscard]] virtual bool thins() const { return false; }

  /// Empties slots of a chosen row; the weights are normalised over the row as it was. token: of the
  /// microbatch; scores: [choices]
  virtual void thin(const Pass& /*pass*/, std::int64_t /*token*/, std::span<const float> /*scores*/,
                    std::span<std::int32_t> /*chosen*/) const {}
};

/// layer: of the model, part of the key of random numbers
[[nodiscard]] std::unique_ptr<Selector> make_selector(const MoeOptions& options, std::int64_t layer);

/// top_k of value + bias (arXiv 2408.15664).
[[nodiscard]] std::unique_ptr<TokenSelector> make_top_k_selector(const MoeOptions& options);

/// top_k inside the token's best groups of experts (arXiv 2405.04434, 2412.19437). Groups are ranked by
/// their best value + bias (`max`) or by the sum of the two best (`top2_sum`); the others are excluded.
[[nodiscard]] std::unique_ptr<TokenSelector> make_group_limited_selector(const MoeOptions& options);

/// The two best scores (the paper has no bias, and a balancer is refused); with the scores g of the best and
/// the second, the second is kept iff 2 g₂ / (g₁ + g₂) > u (arXiv 2006.16668, algorithm 1). Training: u ~
/// U(0, 1) of the token; otherwise u = 1/2, so that evaluation is a pure function of the text.
[[nodiscard]] std::unique_ptr<TokenSelector> make_gshard_selector(const MoeOptions& options,
                                                                  std::int64_t layer);

/// Each expert takes its expert_choice_size() best tokens (arXiv 2202.09368); among equals the lower
/// token. A token is taken by none to all experts, its row is in ascending order of experts. What later
/// tokens are decides about earlier ones: not for causal models whose loss is to be trusted.
[[nodiscard]] std::unique_ptr<Selector> make_expert_choice_selector(const MoeOptions& options);

/// top_k of exp(z), scaled by rows and columns in turn (arXiv 2202.01169, S-BASE). Balances by itself: no
/// bias.
[[nodiscard]] std::unique_ptr<Selector> make_sinkhorn_selector(const MoeOptions& options);

/// Tokens of a microbatch that an expert takes by expert_choice: ceil(top_k * tokens / experts *
/// capacity.factor), at most all.
[[nodiscard]] std::int64_t expert_choice_size(const MoeOptions& options, std::int64_t tokens);

}  // namespace troupe::experts
