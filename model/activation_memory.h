#pragma once
#include <cstdint>

#include "experts/dispatch/routed_rows.h"
#include "model/options.h"
#include "model/transformer_shape.h"

namespace troupe::model {

/// Bytes of activation memory of the microbatches that are held, and forward and backward of one, with these
/// rows in every layer with experts: what the layers declare.
[[nodiscard]] std::int64_t activation_bytes(const ModelOptions& options, const TransformerShape& shape,
                                            const experts::RoutedRows& rows);

/// What no microbatch can exceed, whatever the routing. Address space to reserve; what is touched is far
/// less.
[[nodiscard]] std::int64_t activation_bytes_bound(const ModelOptions& options, const TransformerShape& shape,
                                                  const experts::DispatchGroup& group);

/// What one microbatch more that is held takes, experts evenly used.
[[nodiscard]] std::int64_t held_activation_bytes(const ModelOptions& options, const TransformerShape& shape);

}  // namespace troupe::model
