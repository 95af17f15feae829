#include "tensor/ops/rope/rope.h"

#include <cmath>
#include <utility>

#include "tensor/transfer.h"

namespace troupe::ops {

namespace {

Tensor moved(Tensor values, Accelerator* accelerator) {
  if (accelerator == nullptr) return values;
  Tensor there(values.shape(), DType::kF32, accelerator);
  transfer(accelerator, values, there);
  return there;
}

}  // namespace

RopeTable::RopeTable(std::int64_t positions, std::int64_t rotary, double theta, Accelerator* accelerator)
    : rotary_(rotary), cosine_(Shape{positions, rotary / 2}), sine_(Shape{positions, rotary / 2}) {
  TROUPE_CHECK(rotary % 2 == 0, "rotary position embedding of {} channels: the number must be even", rotary);
  const std::int64_t half = rotary / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(rotary));
    for (std::int64_t position = 0; position < positions; ++position) {
      const double angle = static_cast<double>(position) * frequency;
      cosine_.f32()[position * half + i] = static_cast<float>(std::cos(angle));
      sine_.f32()[position * half + i] = static_cast<float>(std::sin(angle));
    }
  }
  cosine_ = moved(std::move(cosine_), accelerator);
  sine_ = moved(std::move(sine_), accelerator);
}

}  // namespace troupe::ops
