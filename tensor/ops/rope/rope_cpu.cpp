#include "tensor/ops/rope/rope.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/rope/rope_cpu.cpp"
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

// One head of one token: (first, second) *= e^(i * angle), or its conjugate.
template <bool kConjugate>
void rotate_halves(const float* cosine, const float* sine, std::int64_t half, float* head) {
  for_each_vector(0, half, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto first = hn::LoadU(d, head + i);
    const auto second = hn::LoadU(d, head + half + i);
    const auto c = hn::LoadU(d, cosine + i);
    const auto s = kConjugate ? hn::Neg(hn::LoadU(d, sine + i)) : hn::LoadU(d, sine + i);
    hn::StoreU(hn::NegMulAdd(second, s, hn::Mul(first, c)), d, head + i);
    hn::StoreU(hn::MulAdd(first, s, hn::Mul(second, c)), d, head + half + i);
  });
}

// The same for neighbours.
template <bool kConjugate>
void rotate_neighbours(const float* cosine, const float* sine, std::int64_t half, float* head) {
  for_each_vector(0, half, [&](auto d, std::int64_t i) HWY_ATTR {
    hn::VFromD<decltype(d)> first;
    hn::VFromD<decltype(d)> second;
    hn::LoadInterleaved2(d, head + 2 * i, first, second);
    const auto c = hn::LoadU(d, cosine + i);
    const auto s = kConjugate ? hn::Neg(hn::LoadU(d, sine + i)) : hn::LoadU(d, sine + i);
    hn::StoreInterleaved2(hn::NegMulAdd(second, s, hn::Mul(first, c)),
                          hn::MulAdd(first, s, hn::Mul(second, c)), d, head + 2 * i);
  });
}

using RotateHead = void (*)(const float* cosine, const float* sine, std::int64_t half, float* head);

RotateHead rotation(RopePairing pairing, RopeDirection direction) {
  const bool forward = direction == RopeDirection::kForward;
  if (pairing == RopePairing::kInterleaved)
    return forward ? rotate_neighbours<false> : rotate_neighbours<true>;
  return forward ? rotate_halves<false> : rotate_halves<true>;
}

void rope_rows(const RopeTable& table, const std::int32_t* positions, std::int64_t head_dim,
               RopeDirection direction, Matrix<float> x, std::int64_t first, std::int64_t last) {
  const std::int64_t half = table.rotary() / 2;
  const RotateHead rotate = rotation(table.pairing(), direction);
  for (std::int64_t t = first; t < last; ++t) {
    const float* cosine = table.cosine(positions[t]);
    const float* sine = table.sine(positions[t]);
    for (std::int64_t begin = 0; begin < x.columns; begin += head_dim)
      rotate(cosine, sine, half, x.row(t) + begin);
  }
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(rope_rows);

void rope(const Execution& execution, const RopeTable& table, ConstTensorView positions,
          std::int64_t head_dim, RopeDirection direction, TensorView x) {
  const OpScope measured(execution, OpKind::kRope);
  if (DeviceOps* device = device_ops(execution))
    return device->rope(table, positions, head_dim, direction, x);
  TROUPE_CHECK(head_dim > 0 && x.columns() % head_dim == 0 && table.rotary() <= head_dim,
               "rope: heads of {} channels, {} of them rotated, in rows of {}", head_dim, table.rotary(),
               x.columns());
  const auto places = integers("rope: positions", positions, x.rows());
  for (const std::int32_t position : places) {
    TROUPE_CHECK(position >= 0 && position < table.positions(), "rope: position {} of {}", position,
                 table.positions());
  }
  parallel_for_blocks(
      execution, x.rows(), rows_of_a_task(x.columns()), [&](std::int64_t first, std::int64_t last) {
        HWY_DYNAMIC_DISPATCH(rope_rows)(table, places.data(), head_dim, direction, matrix(x), first, last);
      });
}

}  // namespace troupe::ops
#endif
