#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// Next-token loss of some rows, as tensor/ops/cross_entropy/cross_entropy.h says; callers pass the rows of
/// one chunk of logits after the other. Reference: tensor/ops/cross_entropy/cross_entropy_ref.h.
///   logits: [rows, vocab]; targets: [rows], -1 = masked; nll, log_z: [rows], 0 where masked
void cross_entropy_forward(Stream stream, Matrix<const float> logits, const std::int32_t* targets,
                           double* nll, double* log_z);

/// The same, and replaces logits by the gradient of  scale * sum over rows of (nll + z_loss * log_z²).
void cross_entropy_forward_backward(Stream stream, Matrix<float> logits, const std::int32_t* targets,
                                    float scale, float z_loss, double* nll, double* log_z);

}  // namespace troupe::cuda
