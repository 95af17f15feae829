#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/options.h"
#include "tests/experts/layer_run.h"
#include "tests/reference/fixtures.h"

namespace troupe::experts {

/// What a router made of one microbatch.
struct RouterRun {
  std::vector<std::vector<int>> chosen;        // [tokens], without empty slots
  std::vector<std::vector<float>> weights;     // of them
  std::vector<float> logits, scores;           // [tokens * choices]
  std::vector<float> clean_logits, noise_std;  // the same, of noisy_top_k
  std::vector<float> dx, dense_gradient;       // while training only
  bool operator==(const RouterRun&) const = default;
};

struct RouterCase {
  model::ModelOptions options = reference::tiny_options();
  reference::Step step;
  int threads = 1;
};

/// Options of a selection that go with tiny_options().
[[nodiscard]] model::ModelOptions options_of(Selection selection, Score score);

/// Weight of pair (token, choice) in the loss Σ weights · pair_weights that run_router() differentiates.
[[nodiscard]] std::vector<float> pair_weights(const model::ModelOptions& options, std::int64_t tokens);

/// Router of layer 1: forward and, while training, backward. Gradients of empty slots are NaN: who reads
/// them is found out. x: [tokens, hidden]
[[nodiscard]] RouterRun run_router(const RouterCase& router_case, const reference::Weights& weights,
                                   const std::vector<float>& x);

}  // namespace troupe::experts
