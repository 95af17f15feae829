#include "tensor/device/make_accelerator.h"

#include "tensor/cuda/runtime.h"
#include "tensor/device/device_accelerator.h"

namespace troupe::device {

int accelerator_count() { return Device::count(); }

std::string accelerator_name(int index) { return Device(index).name(); }

void require_accelerator(bool elsewhere) {
  if (!elsewhere) cuda::runtime::use_device(0);
}

std::unique_ptr<Accelerator> make_accelerator(int index) {
  return std::make_unique<DeviceAccelerator>(index);
}

}  // namespace troupe::device
