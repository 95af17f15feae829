#include <bit>
#include <cmath>

#include "tensor/ops/bf16/bf16.h"
#include "tensor/ops/checks.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

namespace troupe::ops {
namespace {

constexpr std::int64_t kElementsOfATask = 1 << 15;

std::uint16_t rounded(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t up = 0x7FFFU + ((bits >> 16U) & 1U);
  const auto number = static_cast<std::uint16_t>((bits + up) >> 16U);
  const auto quiet_nan = static_cast<std::uint16_t>((bits >> 16U) | 0x40U);
  return std::isnan(value) ? quiet_nan : number;
}

float widened(std::uint16_t value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16U); }

void check_pair(const char* operand, const ConstTensorView& bf16, const ConstTensorView& f32) {
  TROUPE_CHECK(bf16.dtype() == DType::kBF16 && f32.dtype() == DType::kF32 && bf16.contiguous() &&
                   f32.contiguous() && bf16.elements() == f32.elements(),
               "{}: {} bf16 and {} f32 elements", operand, bf16.elements(), f32.elements());
}

template <class Body>
void for_elements(const Execution& execution, std::int64_t count, const Body& body) {
  parallel_for_blocks(execution, count, kElementsOfATask, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i);
  });
}

}  // namespace

void to_bf16(const Execution& execution, ConstTensorView x, TensorView y) {
  const OpScope measured(execution, OpKind::kElementwise);
  check_pair("to_bf16", y, x);
  const float* from = x.f32();
  auto* to = reinterpret_cast<std::uint16_t*>(y.data());
  for_elements(execution, x.elements(), [&](std::int64_t i) { to[i] = rounded(from[i]); });
}

void from_bf16(const Execution& execution, ConstTensorView x, TensorView y) {
  const OpScope measured(execution, OpKind::kElementwise);
  check_pair("from_bf16", x, y);
  const auto* from = reinterpret_cast<const std::uint16_t*>(x.data());
  float* to = y.f32();
  for_elements(execution, x.elements(), [&](std::int64_t i) { to[i] = widened(from[i]); });
}

void round_to_bf16(const Execution& execution, TensorView x) {
  const OpScope measured(execution, OpKind::kElementwise);
  TROUPE_CHECK(x.contiguous(), "round_to_bf16 of a strided view {}", x.shape().to_string());
  float* values = x.f32();
  for_elements(execution, x.elements(), [&](std::int64_t i) { values[i] = widened(rounded(values[i])); });
}

}  // namespace troupe::ops
