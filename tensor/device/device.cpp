#include "tensor/device/device.h"

#include "tensor/cuda/runtime.h"

namespace troupe::device {
namespace {

constexpr std::size_t kPinnedBytes = 16 << 20;

/// Before any queue is made, which belongs to the thread's device.
int used(int index) {
  cuda::runtime::use_device(index);
  return index;
}

}  // namespace

Device::Device(int index) : index_(used(index)), pinned_(kPinnedBytes) {}

int Device::count() { return cuda::runtime::device_count(); }
std::string Device::name() const { return cuda::runtime::device_name(index_); }

}  // namespace troupe::device
