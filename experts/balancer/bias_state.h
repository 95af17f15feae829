#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "experts/balancer/balancer.h"

namespace troupe::experts {

/// Keeps the state of a balancer: rows of one value per expert, of which the first is the bias.
class BiasState : public Balancer {
 public:
  explicit BiasState(std::int64_t experts, std::int64_t rows = 1);

  [[nodiscard]] std::span<const float> bias() const override { return row(0); }
  [[nodiscard]] std::span<const float> state() const override { return state_; }
  void restore(std::span<const float> state) override;

 protected:
  void check_size(const BalanceInput& input) const;
  [[nodiscard]] std::size_t experts() const { return experts_; }
  [[nodiscard]] std::span<float> row(std::size_t index) {
    return std::span(state_).subspan(index * experts_, experts_);
  }
  [[nodiscard]] std::span<const float> row(std::size_t index) const {
    return std::span(state_).subspan(index * experts_, experts_);
  }

 private:
  std::size_t experts_;
  std::vector<float> state_;  // zeros at first
};

/// Σc: routed pairs of a batch.
[[nodiscard]] std::int64_t routed_pairs(const BalanceInput& input);

/// sign(mean(c) - count), decided in integers as Σc against N * c, so that no rounding can flip it.
[[nodiscard]] int load_sign(std::int64_t pairs, std::size_t experts, std::int64_t count);

/// (mean(c) - count) / mean(c) = (Σc - N * count) / Σc: one rounding. pairs > 0
[[nodiscard]] double load_error(std::int64_t pairs, std::size_t experts, std::int64_t count);

}  // namespace troupe::experts
