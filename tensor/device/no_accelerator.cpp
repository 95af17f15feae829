// In place of make_accelerator.cpp where the kernels were not built.
#include "base/error.h"
#include "tensor/device/make_accelerator.h"

namespace troupe::device {
namespace {

[[noreturn]] void refuse() {
  throw Error(ErrorCode::kConfig,
              "parallel.device: cuda needs a build with CUDA, which this is not: `cmake --preset cuda` "
              "(docs/gpu.md) makes one");
}

}  // namespace

int accelerator_count() { return 0; }
std::string accelerator_name(int /*index*/) { refuse(); }
std::string cublaslt_name() { refuse(); }
void require_accelerator(bool /*elsewhere*/, DenseProducts /*products*/) { refuse(); }
std::unique_ptr<Accelerator> make_accelerator(int /*index*/, DenseProducts /*products*/) { refuse(); }

}  // namespace troupe::device
