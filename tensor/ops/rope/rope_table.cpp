#include "tensor/ops/rope/rope.h"

#include <cmath>
#include <utility>
#include <vector>

#include "base/index.h"
#include "tensor/transfer.h"

namespace troupe::ops {

namespace {

Tensor moved(Tensor values, Accelerator* accelerator) {
  if (accelerator == nullptr) return values;
  Tensor there(values.shape(), DType::kF32, accelerator);
  transfer(accelerator, values, there);
  return there;
}

std::vector<double> powers_of(double theta, std::int64_t rotary) {
  TROUPE_CHECK(rotary % 2 == 0, "rotary position embedding of {} channels: the number must be even", rotary);
  std::vector<double> frequencies;
  for (std::int64_t i = 0; i < rotary / 2; ++i)
    frequencies.push_back(std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(rotary)));
  return frequencies;
}

}  // namespace

RopeTable::RopeTable(std::int64_t positions, std::span<const double> frequencies, double magnitude,
                     RopePairing pairing, Accelerator* accelerator)
    : rotary_(2 * std::ssize(frequencies)),
      pairing_(pairing),
      cosine_(Shape{positions, rotary_ / 2}),
      sine_(Shape{positions, rotary_ / 2}) {
  const std::int64_t half = rotary_ / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    for (std::int64_t position = 0; position < positions; ++position) {
      const double angle = static_cast<double>(position) * frequencies[at(i)];
      cosine_.f32()[position * half + i] = static_cast<float>(magnitude * std::cos(angle));
      sine_.f32()[position * half + i] = static_cast<float>(magnitude * std::sin(angle));
    }
  }
  cosine_ = moved(std::move(cosine_), accelerator);
  sine_ = moved(std::move(sine_), accelerator);
}

RopeTable::RopeTable(std::int64_t positions, std::int64_t rotary, double theta, Accelerator* accelerator)
    : RopeTable(positions, powers_of(theta, rotary), 1.0, RopePairing::kHalves, accelerator) {}

}  // namespace troupe::ops
