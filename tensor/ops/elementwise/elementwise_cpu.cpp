#include "tensor/ops/elementwise/elementwise.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/elementwise/elementwise_cpu.cpp"
#include <hwy/foreach_target.h>

#include "tensor/ops/checks.h"
#include "tensor/ops/device_ops.h"
#include "tensor/ops/matrix.h"
#include "tensor/ops/vector-inl.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

void sum_elements(const float* a, const float* b, float* out, std::int64_t begin, std::int64_t end) {
  for_each_vector(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
  });
}

void affine_elements(const float* x, float factor, float shift, float* y, std::int64_t begin,
                     std::int64_t end) {
  for_each_vector(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    hn::StoreU(hn::MulAdd(hn::LoadU(d, x + i), hn::Set(d, factor), hn::Set(d, shift)), d, y + i);
  });
}

// Element i goes to lane i % 16, whatever the width of a vector; lanes are added in order. The
// square of a float is exact in fp64, so a fused multiply-add changes nothing.
double sum_of_squares_lanes(const float* x, std::int64_t size) {
  constexpr std::int64_t kLanes = 16;
  const hn::CappedTag<double, 8> d;
  const hn::Rebind<float, decltype(d)> narrow;
  constexpr auto kWidth = static_cast<std::int64_t>(hn::MaxLanes(d));
  constexpr std::int64_t kParts = kLanes / kWidth;
  hn::VFromD<decltype(d)> parts[kParts];
  for (auto& part : parts) part = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (std::int64_t p = 0; p < kParts; ++p) {
      const auto value = hn::PromoteTo(d, hn::LoadU(narrow, x + i + p * kWidth));
      parts[p] = hn::MulAdd(value, value, parts[p]);
    }
  }
  double lanes[kLanes];
  for (std::int64_t p = 0; p < kParts; ++p) hn::StoreU(parts[p], d, lanes + p * kWidth);
  for (; i < size; ++i) lanes[i % kLanes] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double total = 0.0;
  for (const double lane : lanes) total += lane;
  return total;
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(sum_elements);
HWY_EXPORT(affine_elements);
HWY_EXPORT(sum_of_squares_lanes);

namespace {
constexpr std::int64_t kElementsOfATask = 1 << 15;
}  // namespace

void add(const Execution& execution, ConstTensorView x, TensorView y) { sum(execution, x, y, y); }

void sum(const Execution& execution, ConstTensorView a, ConstTensorView b, TensorView out) {
  const OpScope measured(execution, OpKind::kElementwise);
  if (DeviceOps* device = device_ops(execution)) return device->sum(a, b, out);
  const std::int64_t count = out.elements();
  TROUPE_CHECK(a.elements() == count && b.elements() == count, "sum: {} and {} elements into {}",
               a.elements(), b.elements(), count);
  const float* first = a.floats().data();
  const float* second = b.floats().data();
  float* target = out.floats().data();
  parallel_for_blocks(execution, count, kElementsOfATask, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(sum_elements)(first, second, target, begin, end);
  });
}

void affine(const Execution& execution, ConstTensorView x, float factor, float shift, TensorView y) {
  const OpScope measured(execution, OpKind::kElementwise);
  if (DeviceOps* device = device_ops(execution)) return device->affine(x, factor, shift, y);
  const float* from = reals("affine: x", x, y.elements()).data();
  float* target = reals("affine: y", y, y.elements()).data();
  parallel_for_blocks(execution, y.elements(), kElementsOfATask, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(affine_elements)(from, factor, shift, target, begin, end);
  });
}

void scale_rows(const Execution& execution, ConstTensorView factors, TensorView x) {
  const OpScope measured(execution, OpKind::kElementwise);
  if (DeviceOps* device = device_ops(execution)) return device->scale_rows(factors, x);
  const float* scales = reals("scale_rows: factors", factors, x.rows()).data();
  check_matrix("scale_rows: x", x, x.rows(), x.columns());
  const Matrix<float> rows = matrix(x);
  parallel_for_blocks(execution, x.rows(), rows_of_a_task(x.columns()),
                      [&](std::int64_t first, std::int64_t last) {
                        for (std::int64_t t = first; t < last; ++t) {
                          HWY_DYNAMIC_DISPATCH(affine_elements)
                          (rows.row(t), scales[t], 0.0F, rows.row(t), 0, rows.columns);
                        }
                      });
}

void temperatures(const Execution& execution, ConstTensorView positions, double strength, std::int64_t length,
                  TensorView factors) {
  const OpScope measured(execution, OpKind::kElementwise);
  if (DeviceOps* device = device_ops(execution))
    return device->temperatures(positions, strength, length, factors);
  const auto places = integers("temperatures: positions", positions, factors.elements());
  const auto values = reals("temperatures: factors", factors, factors.elements());
  for (std::size_t t = 0; t < places.size(); ++t) {
    const std::int64_t lengths = (places[t] + 1) / length;
    values[t] = static_cast<float>(1.0 + strength * std::log1p(static_cast<double>(lengths)));
  }
}

void zero(const Execution& execution, TensorView y) {
  const OpScope measured(execution, OpKind::kElementwise);
  if (DeviceOps* device = device_ops(execution)) return device->zero(y);
  float* target = y.floats().data();
  parallel_for_blocks(execution, y.elements(), kElementsOfATask, [&](std::int64_t begin, std::int64_t end) {
    std::fill(target + begin, target + end, 0.0F);
  });
}

double sum_of_squares(std::span<const float> x) {
  return HWY_DYNAMIC_DISPATCH(sum_of_squares_lanes)(x.data(), static_cast<std::int64_t>(x.size()));
}

}  // namespace troupe::ops
#endif
