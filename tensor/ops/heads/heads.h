#pragma once
#include <cstdint>

#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// Some channels of every head of a row: head h has them from h * dim + first on; dim 0: all heads the same.
struct HeadChannels {
  std::int64_t dim;
  std::int64_t first;
};

/// `width` channels of every head copied from rows of x to rows of out, the others left as they are.
///   x: [tokens, heads * from.dim], or [tokens, *] for from.dim 0; out: [tokens, heads * to.dim]
void copy_heads(const Execution& execution, std::int64_t heads, std::int64_t width, ConstTensorView x,
                HeadChannels from, TensorView out, HeadChannels to);

/// out[t] = Σ over heads, in order, of these channels: the gradient of channels that all heads share.
///   x: [tokens, heads * from.dim]; out: [tokens, width]
void sum_heads(const Execution& execution, std::int64_t heads, std::int64_t width, ConstTensorView x,
               HeadChannels from, TensorView out);

}  // namespace troupe::ops
