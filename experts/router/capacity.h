#pragma once
#include <cstdint>
#include <span>

#include "experts/options.h"
#include "experts/pass.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// Which chosen pairs are sent to a routed expert: all but zero-compute choices and, with a capacity,
/// what a full expert drops. Before dispatch, per microbatch, so the same on every layout.
///   chosen: [tokens, slots]; scores: [tokens, choices]
///   dropped: [experts], written, pairs; or empty when dropless
/// Returns [tokens, slots] i32 (routing.h, `dispatched`), which may be `chosen` itself.
[[nodiscard]] TensorView admit(const Pass& pass, const MoeOptions& options, TensorView chosen,
                               ConstTensorView scores, std::span<std::int64_t> dropped);

}  // namespace troupe::experts
