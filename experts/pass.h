#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/clock.h"
#include "tensor/arena.h"
#include "tensor/execution.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// Seconds, disjoint; forward and backward are what the others leave.
struct PhaseSeconds {
  double forward = 0.0;
  double dispatch = 0.0;  // tokens to experts, and gradients in backward: sorting, waiting for bytes
  double expert = 0.0;    // routed experts' matrix products
  double combine = 0.0;   // the way back, and the weighted sum
  double backward = 0.0;
};

/// Adds the time from its construction to its end to `total`.
class PhaseTimer {
 public:
  PhaseTimer(const Clock& clock, double& total) : clock_(clock), total_(total), start_(clock.now()) {}
  ~PhaseTimer() { total_ += seconds(clock_.now() - start_); }
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;

 private:
  const Clock& clock_;
  double& total_;
  TimePoint start_;
};

/// Which tokens of the run a microbatch holds: keys of its random numbers, never of the layout.
struct TokenPlace {
  std::uint64_t seed = 0;
  std::int64_t first_token = 0;  // number in the run of the microbatch's first token; the others follow
  std::int64_t sequence_length = 1;
  ConstTensorView domains = {};  // [tokens] i32, of each token; empty when not known
};

/// What every layer gets for one pass over one microbatch. Buffers have the offsets of the model's
/// two parameter tables.
struct Pass {
  Execution execution;
  Arena& arena;
  const Clock& clock;
  PhaseSeconds& seconds;
  std::span<const float> dense;
  std::span<const float> experts;
  // Backward only:
  std::span<float> dense_gradient;                          // overwritten
  std::span<const std::span<float>> expert_gradient_lanes;  // added to
  std::span<const int> lane_of_source;                      // [group size], index of a lane above

  TokenPlace place = {};
  bool training = false;  // a backward follows: jitter and noise are on
};

/// A parameter of a table, found once: its values in a weight buffer, its gradient in another.
class ParameterHandle {
 public:
  /// Throws kInternal when the table has no such parameter.
  ParameterHandle(const ParameterTable& table, const std::string& name, std::int64_t expert = -1)
      : table_(&table), index_(table.find(name, expert)) {}

  [[nodiscard]] ConstTensorView value(std::span<const float> buffer) const {
    return table_->view(buffer, index_);
  }
  [[nodiscard]] TensorView gradient(std::span<float> buffer) const { return table_->view(buffer, index_); }

 private:
  const ParameterTable* table_;
  std::size_t index_;
};

}  // namespace troupe::experts
