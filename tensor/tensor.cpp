#include "tensor/tensor.h"

#include <cstdlib>
#include <cstring>

#include "base/index.h"

namespace troupe {

std::int64_t size_bytes(DType dtype) { return dtype == DType::kBF16 ? 2 : 4; }

Tensor::Tensor(const Shape& shape, DType dtype) : shape_(shape), dtype_(dtype) {
  stride_ = 1;
  for (int i = 1; i < shape.rank(); ++i) stride_ *= shape[i];
  const auto bytes = at(shape.elements() * size_bytes(dtype));
  const std::size_t rounded = (bytes + kTensorAlignment) / kTensorAlignment * kTensorAlignment;
  auto* data = static_cast<std::byte*>(std::aligned_alloc(kTensorAlignment, rounded));
  if (data == nullptr)
    throw Error(ErrorCode::kIo, "out of memory for a tensor {} ({} bytes)", shape.to_string(), bytes);
  std::memset(data, 0, rounded);
  data_.reset(data);
}

void Tensor::Free::operator()(std::byte* data) const { std::free(data); }

}  // namespace troupe
