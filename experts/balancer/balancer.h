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

/// `none`: the bias stays 0.
[[nodiscard]] std::unique_ptr<Balancer> make_no_balancer(const MoeOptions& options);

/// `sign`: b_i += u * sign(mean(c) - c_i) (arXiv 2408.15664, Algorithm 1; DeepSeek-V3, 2412.19437). The
/// signs need not cancel, so the mean bias drifts; selection does not see that.
[[nodiscard]] std::unique_ptr<Balancer> make_sign_balancer(const MoeOptions& options);

/// `sign_centered`: the steps of `sign` less their mean, so that the mean bias stays 0.
[[nodiscard]] std::unique_ptr<Balancer> make_sign_centered_balancer(const MoeOptions& options);

/// `proportional`: b_i += u * (mean(c) - c_i) / mean(c): steps shrink as the load evens out.
/// Beside zero-compute experts, which have no bias (LongCat-Flash, arXiv 2509.01322, 2.1.1):
///   b_i += u * (k_target / (k * N) - c_i / (k * tokens))
/// brings routed experts to k_target choices of a token on average, and to even shares of those.
[[nodiscard]] std::unique_ptr<Balancer> make_proportional_balancer(const MoeOptions& options);

/// `pid`: e = (mean(c) - c) / mean(c); I = clip(I + e, ±I_max); b = Kp e + Ki I + Kd (e - e_before). Its
/// gains stand in the place of a rate. State: bias, I, e_before; both are 0 at first.
[[nodiscard]] std::unique_ptr<Balancer> make_pid_balancer(const MoeOptions& options);

/// `quantile`: b_i -= rate * cut_i, then the mean is taken off. cut_i is the margin that one token more than
/// an expert's fair share reaches: the (⌊k tokens / N⌋ + 1)-th largest of its margins (margins.h). With all
/// other biases as they are, b_i - cut_i brings an expert to its fair share, from above or from below.
/// Zero-compute experts have no share, so validation refuses them here.
[[nodiscard]] std::unique_ptr<Balancer> make_quantile_balancer(const MoeOptions& options);

}  // namespace troupe::experts
