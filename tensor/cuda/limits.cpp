#include "tensor/cuda/limits.h"

#include "base/error.h"

namespace troupe::cuda {

void check_limit(const char* what, std::int64_t value, std::int64_t most) {
  if (value <= most) return;
  throw Error(ErrorCode::kConfig, "{} is {}, but device kernels take at most {}: use fewer, or device cpu",
              what, value, most);
}

void refuse_activation(const char* name) {
  throw Error(ErrorCode::kConfig,
              "model.ffn.activation: {} has no kernel for a device: {}_tanh has, and is within 5e-4 of it",
              name, name);
}

}  // namespace troupe::cuda
