#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "experts/options.h"

namespace troupe::experts {

/// Keeps experts evenly used without touching the loss: a per-expert bias, added to the scores for
/// selection only (arXiv 2408.15664). One per MoE layer, on every worker; all hold the same state.
/// Not thread-safe; call from the compute thread.
class Balancer {
 public:
  virtual ~Balancer() = default;

  /// Moves the bias after one global batch; not called for a skipped step.
  ///   counts: [experts], tokens routed to each expert over the global batch, before drops
  ///   rate: this step's value of BalancerOptions::rate, in score units
  virtual void update(std::span<const std::int64_t> counts, double rate) = 0;

  /// [experts], in score units.
  [[nodiscard]] virtual std::span<const float> bias() const = 0;

  /// What a checkpoint keeps; restore() takes the same and throws kCorrupt on another length.
  [[nodiscard]] virtual std::span<const float> state() const = 0;
  virtual void restore(std::span<const float> state) = 0;
};

[[nodiscard]] std::unique_ptr<Balancer> make_balancer(const BalancerOptions& options, std::int64_t experts);

}  // namespace troupe::experts
