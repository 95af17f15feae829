#pragma once
#include <cstdint>

#include "model/options.h"

namespace troupe::model {

/// Width of the dense layers. auto: 4 hidden_size, or with a gate 2/3 of that, rounded up to a multiple of
/// 256: as many parameters in three matrices as in two.
[[nodiscard]] std::int64_t ffn_width(const ModelOptions& options);
/// How many times as wide as the base of `mup` the model is; 1 without it.
[[nodiscard]] double mup_multiple(const ModelOptions& options);
/// What the head does: with `mup` logits are divided by that multiple.
[[nodiscard]] LogitOptions head_logits(const ModelOptions& options);

}  // namespace troupe::model
