#include "tensor/tensor.h"

#include <cstring>
#include <new>

#include "base/index.h"
#include "tensor/accelerator.h"

namespace troupe {

std::int64_t size_bytes(DType dtype) {
  switch (dtype) {
    case DType::kBF16:
      return 2;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF64:
      break;
  }
  return 8;
}

namespace {

std::byte* allocate_on_host(std::size_t bytes) {
  const std::size_t rounded = (bytes + kTensorAlignment) / kTensorAlignment * kTensorAlignment;
  void* data = ::operator new (rounded, std::align_val_t{kTensorAlignment}, std::nothrow);
  if (data == nullptr) throw Error(ErrorCode::kIo, "out of memory for a tensor of {} bytes", bytes);
  std::memset(data, 0, rounded);
  return static_cast<std::byte*>(data);
}

}  // namespace

Tensor::Tensor(const Shape& shape, DType dtype, Accelerator* accelerator) : shape_(shape), dtype_(dtype) {
  stride_ = 1;
  for (int i = 1; i < shape.rank(); ++i) stride_ *= shape[i];
  const auto bytes = at(shape.elements() * size_bytes(dtype));
  if (accelerator == nullptr) {
    data_.reset(allocate_on_host(bytes));
    return;
  }
  data_ = std::unique_ptr<std::byte, Free>(accelerator->allocate(bytes), Free(accelerator));
  accelerator->clear(data_.get(), bytes);
}

void Tensor::Free::operator()(std::byte* data) const {
  if (accelerator == nullptr) {
    ::operator delete (data, std::align_val_t{kTensorAlignment});
  } else {
    accelerator->release(data);
  }
}

}  // namespace troupe
