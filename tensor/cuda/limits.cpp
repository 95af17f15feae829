#include "tensor/cuda/limits.h"

#include "base/error.h"

namespace troupe::cuda {

void check_limit(const char* what, std::int64_t value, std::int64_t most) {
  if (value <= most) return;
  throw Error(ErrorCode::kConfig, "{} is {}, but device kernels take at most {}: use fewer, or device cpu",
              what, value, most);
}

}  // namespace troupe::cuda
