#pragma once
#include <string>
#include <vector>

#include "model/options.h"
#include "tests/reference/fixtures.h"

namespace troupe::experts {

/// What a MoE layer made of one microbatch.
struct LayerRun {
  std::vector<float> y, dx, dense_gradient, expert_gradient;
};

/// The layer with experts of reference::tiny_options(), whose parameters begin with kLayerPrefix.
inline const std::string kLayerPrefix = "layers/01/";

/// Forward and backward in a group of one. x, dy: [tokens, hidden]
[[nodiscard]] LayerRun run_layer(const model::ModelOptions& options, const reference::Weights& weights,
                                 const reference::FlatStep& step, const std::vector<float>& x,
                                 const std::vector<float>& dy);

}  // namespace troupe::experts
