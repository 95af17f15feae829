#pragma once
#include <cstdint>
#include <span>

#include "experts/options.h"

namespace troupe::experts {

/// The weights of a token's chosen experts, by score or by softmax over the chosen logits; an empty slot
/// (-1) has weight 0.
///   logits, scores: [choices]; chosen, weights: [slots]
void weigh(const RouterOptions& options, std::span<const float> logits, std::span<const float> scores,
           std::span<const std::int32_t> chosen, std::span<float> weights);

/// Its gradient: adds to dscores or, with softmax_after_topk, to dlogits.
void add_weight_gradient(const RouterOptions& options, std::span<const float> scores,
                         std::span<const std::int32_t> chosen, std::span<const float> weights,
                         std::span<const float> dweights, std::span<float> dscores, std::span<float> dlogits);

}  // namespace troupe::experts
