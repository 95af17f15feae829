#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "experts/options.h"

namespace troupe::experts {

/// What a balancer learns of one global batch and layer. Integers: equal on all workers and layouts.
struct BalanceInput {
  std::span<const std::int64_t> counts;        // [experts], pairs routed to each expert, before drops
  std::int64_t tokens = 0;                     // routed tokens of the batch
  std::span<const std::int64_t> margins = {};  // [experts * margin_bins], only for `quantile`
};

/// Keeps experts evenly used without touching the loss: a per-expert bias, added to the scores for
/// selection only (arXiv 2408.15664). One per MoE layer, on every worker; all hold the same state: an
/// update goes from integers in a fixed order, in fp64, and rounds to fp32 once.
/// Not thread-safe; call from the compute thread.
class Balancer {
 public:
  virtual ~Balancer() = default;

  /// Moves the bias after one global batch; not called for a skipped step. A batch without tokens
  /// changes nothing.
  ///   rate: this step's value of BalancerOptions::rate
  virtual void update(const BalanceInput& input, double rate) = 0;

  /// [experts], in units of what selection goes by: scores, or logits with softmax_after_topk.
  [[nodiscard]] virtual std::span<const float> bias() const = 0;

  /// What a checkpoint keeps, [rows, experts]: the bias, then what else the kind remembers; the length is
  /// fixed at construction. restore() takes the same and throws kCorrupt on another length.
  [[nodiscard]] virtual std::span<const float> state() const = 0;
  virtual void restore(std::span<const float> state) = 0;
};

/// Bins of a margin histogram that this balancer reads; 0: it needs none.
[[nodiscard]] int margin_bins(const BalancerOptions& options);

[[nodiscard]] std::unique_ptr<Balancer> make_balancer(const MoeOptions& options);

}  // namespace troupe::experts
