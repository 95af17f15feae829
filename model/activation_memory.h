#pragma once
#include <cstddef>
#include <cstdint>

#include "model/options.h"
#include "model/transformer_shape.h"

namespace troupe::model {

/// Bytes of activation memory that no microbatch can exceed, whatever the routing: every token of
/// every worker of the group may choose this worker's experts. Address space to reserve; what is
/// touched is far less.
///   group_size, local_experts: of the expert group and this worker
[[nodiscard]] std::size_t activation_bytes_bound(const ModelOptions& options, const TransformerShape& shape,
                                                 std::int64_t group_size, std::int64_t local_experts);

}  // namespace troupe::model
