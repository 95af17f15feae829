#pragma once
#include <cstdint>
#include <span>

#include "experts/options.h"
#include "layers/pass.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// Tokens of a microbatch that one expert takes with a capacity factor: ceil(top_k * tokens / experts *
/// factor), at most all (arXiv 2006.16668 §2.2, 2101.03961 eq. 3).
[[nodiscard]] std::int64_t expert_capacity(const MoeOptions& options, std::int64_t tokens);

/// Whether admit() may send less than what is chosen: it then allocates its result, and while it runs,
/// admission_memory() elements of 4 bytes.
[[nodiscard]] bool admits_less(const MoeOptions& options);
[[nodiscard]] std::int64_t admission_memory(const MoeOptions& options, std::int64_t tokens);

/// Which chosen pairs are sent to a routed expert: all but zero-compute choices and, with a capacity,
/// what a full expert drops. All first slots come before any second one; inside a slot `drop_policy`
/// decides, ties to the earlier token. Before dispatch, per microbatch, so the same on every layout.
///   chosen: [tokens, slots] i32; scores: [tokens, choices], s without bias
///   dropped: [experts], written, pairs; or empty when dropless
/// Returns [tokens, slots] i32 (routing.h, `dispatched`), which may be `chosen` itself.
[[nodiscard]] TensorView admit(const Pass& pass, const MoeOptions& options, TensorView chosen,
                               ConstTensorView scores, std::span<std::int64_t> dropped);

}  // namespace troupe::experts
