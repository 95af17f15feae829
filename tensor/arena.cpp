#include "tensor/arena.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/index.h"
#include "base/log.h"
#include "tensor/accelerator.h"

namespace troupe {

namespace {

// Of the host's part of an arena on a device: counts by expert, and the like.
constexpr std::size_t kArrayBytes = std::size_t{256} << 20;

}  // namespace

Arena::Arena(std::size_t reserve_bytes, Accelerator* accelerator) : accelerator_(accelerator) {
  if (accelerator_ == nullptr) {
    tensors_ = reserve_on_host(reserve_bytes);
    return;
  }
  arrays_ = reserve_on_host(kArrayBytes);
  tensors_ = {accelerator_->allocate(reserve_bytes), reserve_bytes};
}

Arena::Region Arena::reserve_on_host(std::size_t bytes) {
  void* base =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    throw Error(ErrorCode::kIo, "cannot reserve {} bytes of address space for activations", bytes);
  return {static_cast<std::byte*>(base), bytes};
}

Arena::~Arena() {
  if (accelerator_ != nullptr) accelerator_->release(tensors_.base);
  const Region& region = arrays();
  if (::munmap(region.base, region.reserved) != 0)
    log::error("munmap of an arena of {} bytes failed", region.reserved);
}

TensorView Arena::allocate(const Shape& shape, DType dtype) {
  std::byte* data = take(tensors_, at(shape.elements() * size_bytes(dtype)));
  std::int64_t stride = 1;
  for (int i = 1; i < shape.rank(); ++i) stride *= shape[i];
  return {data, shape, dtype, accelerator_ == nullptr ? DeviceKind::kCpu : DeviceKind::kCuda, stride};
}

std::byte* Arena::take(Region& region, std::size_t bytes) {
  const std::size_t rounded = (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
  TROUPE_CHECK(rounded <= region.reserved - region.used, "the arena has {} of {} bytes left, {} are needed",
               region.reserved - region.used, region.reserved, rounded);
  std::byte* data = region.base + region.used;
  region.used += rounded;
  region.peak = std::max(region.peak, region.used);
  return data;
}

}  // namespace troupe
