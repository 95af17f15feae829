#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "experts/balancer/balancer.h"
#include "experts/options.h"
#include "tensor/arena.h"

namespace troupe::experts {

/// Load of one batch, as a router counts it.
struct SimulatedBatch {
  std::vector<float> scores;          // [tokens, choices]
  std::vector<std::int64_t> counts;   // [choices]
  std::vector<std::int64_t> margins;  // [experts * kMarginBins]
};

/// A router that does not learn: every expert has a logit of its own, drawn once, and every token adds
/// noise. Scores are sigmoids; the selection is the router's own.
class SimulatedRouter {
 public:
  struct Shape {
    std::int64_t tokens = 2048;
    double skew = 0.5;   // standard deviation of the experts' logits
    double noise = 0.3;  // of the tokens'
  };

  SimulatedRouter(const MoeOptions& options, const Shape& shape, std::uint64_t seed);

  /// Batch number `step`, chosen with a bias. bias: [experts]
  [[nodiscard]] const SimulatedBatch& route(std::int64_t step, std::span<const float> bias, int threads = 1);
  [[nodiscard]] std::int64_t tokens() const { return shape_.tokens; }

 private:
  void draw_scores(std::int64_t step);

  MoeOptions options_;
  Shape shape_;
  std::uint64_t seed_;
  Arena arena_;
  SimulatedBatch batch_;
  std::vector<float> bias_;  // [choices]
};

/// What a balancer made of `steps` batches.
struct Balancing {
  std::vector<std::vector<std::int64_t>> counts;  // [steps][experts]
  std::vector<std::vector<float>> bias;           // [steps][experts], after the step
  std::vector<double> routed_per_token;           // [steps]

  /// Mean over the last `steps` steps of each batch's MaxVio.
  [[nodiscard]] double batch_violation(std::size_t steps) const;
  /// MaxVio of counts summed over `steps` steps that end with step `end`.
  [[nodiscard]] double window_violation(std::size_t end, std::size_t steps) const;
  /// Standard deviation over the last `steps` steps of a bias less its step's mean, mean over experts.
  [[nodiscard]] double bias_amplitude(std::size_t steps) const;
  [[nodiscard]] double mean_bias() const;
};

/// Steps `steps` batches of the default shape with the options' balancer and its rate.
[[nodiscard]] Balancing balance(const MoeOptions& options, std::int64_t steps, std::uint64_t seed,
                                const SimulatedRouter::Shape& shape = {});

}  // namespace troupe::experts
