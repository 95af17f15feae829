#include "tensor/ops/sigmoid_gate/sigmoid_gate.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/sigmoid_gate/sigmoid_gate_cpu.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include <hwy/highway.h>

#include "tensor/ops/checks.h"
#include "tensor/ops/vector-inl.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

void gate_elements(const float* x, const float* gate, float* y, std::int64_t begin, std::int64_t end) {
  for_each_vector(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), sigmoid(d, hn::LoadU(d, gate + i))), d, y + i);
  });
}

void gate_gradient(const float* dy, const float* x, const float* gate, float* dx, float* dgate,
                   std::int64_t begin, std::int64_t end) {
  for_each_vector(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto s = sigmoid(d, hn::LoadU(d, gate + i));
    const auto scaled = hn::Mul(hn::LoadU(d, dy + i), s);
    const auto slope = hn::Mul(hn::LoadU(d, x + i), hn::Sub(hn::Set(d, 1.0F), s));
    hn::StoreU(hn::Mul(scaled, slope), d, dgate + i);
    hn::StoreU(scaled, d, dx + i);
  });
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(gate_elements);
HWY_EXPORT(gate_gradient);

namespace {
constexpr std::int64_t kElementsOfATask = 1 << 14;
}  // namespace

void sigmoid_gate(const Execution& execution, ConstTensorView x, ConstTensorView gate, TensorView y) {
  const OpScope measured(execution, OpKind::kElementwise);
  const float* values = reals("sigmoid_gate: x", x, y.elements()).data();
  const float* gates = reals("sigmoid_gate: gate", gate, y.elements()).data();
  float* out = reals("sigmoid_gate: y", y, y.elements()).data();
  parallel_for_blocks(execution, y.elements(), kElementsOfATask, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(gate_elements)(values, gates, out, begin, end);
  });
}

void sigmoid_gate_backward(const Execution& execution, ConstTensorView dy, ConstTensorView x,
                           ConstTensorView gate, TensorView dx, TensorView dgate) {
  const OpScope measured(execution, OpKind::kElementwise);
  const float* gradient = reals("sigmoid_gate: dy", dy, dx.elements()).data();
  const float* values = reals("sigmoid_gate: x", x, dx.elements()).data();
  const float* gates = reals("sigmoid_gate: gate", gate, dx.elements()).data();
  float* out = reals("sigmoid_gate: dx", dx, dx.elements()).data();
  float* out_gate = reals("sigmoid_gate: dgate", dgate, dx.elements()).data();
  parallel_for_blocks(execution, dx.elements(), kElementsOfATask, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(gate_gradient)(gradient, values, gates, out, out_gate, begin, end);
  });
}

}  // namespace troupe::ops
#endif
