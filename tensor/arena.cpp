#include "tensor/arena.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/index.h"
#include "base/log.h"

namespace troupe {

Arena::Arena(std::size_t reserve_bytes) : reserved_(reserve_bytes) {
  void* base =
      ::mmap(nullptr, reserved_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    throw Error(ErrorCode::kIo, "cannot reserve {} bytes of address space for activations", reserved_);
  base_ = static_cast<std::byte*>(base);
}

Arena::~Arena() {
  if (::munmap(base_, reserved_) != 0) log::error("munmap of an arena of {} bytes failed", reserved_);
}

TensorView Arena::allocate(const Shape& shape, DType dtype) {
  std::byte* data = take(at(shape.elements() * size_bytes(dtype)));
  std::int64_t stride = 1;
  for (int i = 1; i < shape.rank(); ++i) stride *= shape[i];
  return {data, shape, dtype, Device::kCpu, stride};
}

std::byte* Arena::take(std::size_t bytes) {
  const std::size_t rounded = (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
  TROUPE_CHECK(rounded <= reserved_ - used_, "the arena has {} of {} bytes left, {} are needed",
               reserved_ - used_, reserved_, rounded);
  std::byte* data = base_ + used_;
  used_ += rounded;
  peak_ = std::max(peak_, used_);
  return data;
}

}  // namespace troupe
