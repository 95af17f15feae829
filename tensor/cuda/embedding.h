#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// out[t] = table[tokens[t]].  tokens: [out.rows]; table: [vocab, hidden]. Reference:
/// tensor/ops/embedding/embedding_ref.h.
void embedding_forward(Stream stream, const std::int32_t* tokens, Matrix<const float> table,
                       Matrix<float> out);

/// dtable[tokens[t]] += dout[t], in token order: tokens are sorted by id, and each id's are added in turn.
///   tokens: [dout.rows]; dtable: [vocab, hidden]; scratch: [embedding_backward_scratch(dout.rows)]
void embedding_backward(Stream stream, const std::int32_t* tokens, Matrix<const float> dout,
                        Matrix<float> dtable, std::int32_t* scratch);
[[nodiscard]] std::int64_t embedding_backward_scratch(std::int64_t tokens);

}  // namespace troupe::cuda
