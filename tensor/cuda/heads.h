#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// Some channels of every head of a row, as tensor/ops/heads/heads.h says.
struct HeadChannels {
  std::int64_t dim;
  std::int64_t first;
};

/// `width` channels of every head copied from rows of x to rows of out.
///   x: [tokens, heads * from.dim], or [tokens, *] for from.dim 0; out: [tokens, heads * to.dim]
void copy_heads(Stream stream, std::int64_t heads, std::int64_t width, Matrix<const float> x,
                HeadChannels from, Matrix<float> out, HeadChannels to);

/// out[t] = Σ over heads, in order, of these channels.  out: [tokens, width]
void sum_heads(Stream stream, std::int64_t heads, Matrix<const float> x, HeadChannels from,
               Matrix<float> out);

}  // namespace troupe::cuda
