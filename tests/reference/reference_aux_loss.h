#pragma once
#include <vector>

#include "tests/reference/reference_model.h"

namespace troupe::reference {

/// What the auxiliary losses of one layer and microbatch are made of. [tokens][choices]
struct AuxLossInput {
  const std::vector<Values>& logits;  // H
  const std::vector<Values>& scores;
  const std::vector<Values>& clean_logits;  // z; only for kind load, as noise_std
  const std::vector<Values>& noise_std;
  const Values& router_weight;  // [choices, hidden]
  const Step& step;
  std::size_t moe_layer;
};

/// [aux losses], sums over tokens without coefficient; reads chosen, weights and counts of `routing`.
[[nodiscard]] Values aux_losses(const experts::MoeOptions& options, const AuxLossInput& input,
                                const Routing& routing);

/// Indices of the k largest; among equals the lower first.
[[nodiscard]] std::vector<int> best(const Values& values, std::int64_t k);

}  // namespace troupe::reference
