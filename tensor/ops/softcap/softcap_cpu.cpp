#include "tensor/ops/softcap/softcap.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/softcap/softcap_cpu.cpp"
#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>

#include "tensor/ops/checks.h"
#include "tensor/ops/device_ops.h"
#include "tensor/ops/vector-inl.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

void softcap_elements(float inner, float cap, float* x, std::int64_t begin, std::int64_t end) {
  for_each_vector(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto bent = hn::Tanh(d, hn::Mul(hn::LoadU(d, x + i), hn::Set(d, inner)));
    hn::StoreU(hn::Mul(bent, hn::Set(d, cap)), d, x + i);
  });
}

void softcap_gradient(const float* dy, const float* y, float factor, float cap, float* dx, std::int64_t begin,
                      std::int64_t end) {
  for_each_vector(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto ratio = hn::Mul(hn::LoadU(d, y + i), hn::Set(d, 1.0F / cap));
    const auto slope = hn::NegMulAdd(ratio, ratio, hn::Set(d, 1.0F));
    hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, dy + i), hn::Set(d, factor)), slope), d, dx + i);
  });
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(softcap_elements);
HWY_EXPORT(softcap_gradient);

namespace {
constexpr std::int64_t kElementsOfATask = 1 << 14;
}  // namespace

void softcap(const Execution& execution, double factor, double cap, TensorView x) {
  const OpScope measured(execution, OpKind::kElementwise);
  if (DeviceOps* device = device_ops(execution)) return device->softcap(factor, cap, x);
  float* values = reals("softcap: x", x, x.elements()).data();
  parallel_for_blocks(execution, x.elements(), kElementsOfATask, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(softcap_elements)
    (static_cast<float>(factor / cap), static_cast<float>(cap), values, begin, end);
  });
}

void softcap_backward(const Execution& execution, ConstTensorView dy, ConstTensorView y, double factor,
                      double cap, TensorView dx) {
  const OpScope measured(execution, OpKind::kElementwise);
  if (DeviceOps* device = device_ops(execution)) return device->softcap_backward(dy, y, factor, cap, dx);
  const float* gradient = reals("softcap: dy", dy, dx.elements()).data();
  const float* capped = reals("softcap: y", y, dx.elements()).data();
  float* out = reals("softcap: dx", dx, dx.elements()).data();
  parallel_for_blocks(execution, dx.elements(), kElementsOfATask, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(softcap_gradient)
    (gradient, capped, static_cast<float>(factor), static_cast<float>(cap), out, begin, end);
  });
}

}  // namespace troupe::ops
#endif
