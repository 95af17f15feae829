#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"

namespace troupe::cuda {

/// One parameter of an update, inside flat buffers.
struct AdamWRange {
  std::int64_t begin;  // first element
  std::int64_t elements;
  float weight_decay;  // decoupled; 0 where none applies
};

/// AdamW (arXiv 1711.05101) of many parameters at once. Corrections are of the step. Reference:
/// tensor/ops/adamw/adamw_ref.h.
///   ranges: [range_count], in device memory; value, gradient, moments: flat buffers
struct AdamWArguments {
  float lr;
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float eps;
  float first_correction;  // 1 - beta1^step
  float second_correction;
  float gradient_scale;
  const AdamWRange* ranges;
  std::int64_t range_count;
  std::int64_t most_elements;  // of a range
  float* value;
  const float* gradient;
  float* first_moment;
  float* second_moment;
};
void adamw(Stream stream, const AdamWArguments& arguments);

}  // namespace troupe::cuda
