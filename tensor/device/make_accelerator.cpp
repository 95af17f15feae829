#include "tensor/device/make_accelerator.h"

#include "base/error.h"
#include "tensor/cuda/cublaslt.h"
#include "tensor/cuda/runtime.h"
#include "tensor/cuda/verified.h"
#include "tensor/device/device_accelerator.h"

namespace troupe::device {
namespace {

void require_verified(int index) {
  const int capability = cuda::runtime::compute_capability(index);
  if (cuda::is_verified(cuda::kCublasLtGemm, capability)) return;
  throw Error(ErrorCode::kConfig,
              "parallel.gemm: cublaslt was not verified on cards of compute capability {}.{}: "
              "scripts/device_check.sh, run on one, prints the line for tensor/cuda/verified.h; or set "
              "parallel.gemm: own",
              capability / 10, capability % 10);
}

}  // namespace

int accelerator_count() { return Device::count(); }

std::string accelerator_name(int index) { return Device(index).name(); }

std::string cublaslt_name() { return cuda::CublasLt::name(); }

void require_accelerator(bool elsewhere, DenseProducts products) {
  if (elsewhere) return;
  cuda::runtime::use_device(0);
  if (products == DenseProducts::kCublasLt) require_verified(0);
}

std::unique_ptr<Accelerator> make_accelerator(int index, DenseProducts products) {
  if (products == DenseProducts::kOwn) return std::make_unique<DeviceAccelerator>(index);
  require_verified(index);
  return std::make_unique<DeviceAccelerator>(index, DeviceAccelerator::WithCublasLt{});
}

}  // namespace troupe::device
