// What the vector kernels share. Included once per instruction set by Highway's foreach_target.h,
// hence the guard that toggles.
#if defined(TROUPE_TENSOR_OPS_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TROUPE_TENSOR_OPS_VECTOR_INL_H_
#undef TROUPE_TENSOR_OPS_VECTOR_INL_H_
#else
#define TROUPE_TENSOR_OPS_VECTOR_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using OneFloat = hn::CappedTag<float, 1>;

/// body(tag, i) for whole vectors of [begin, end), then for single floats.
template <class Body>
HWY_INLINE void for_each_vector(std::int64_t begin, std::int64_t end, const Body& body) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = begin;
  for (; i + lanes <= end; i += lanes) body(d, i);
  for (; i < end; ++i) body(OneFloat(), i);
}

/// Sum over [0, size) in an order that depends on size only: add(tag, i, total) returns total plus
/// the terms at i.
template <class Add>
HWY_INLINE float sum_of_terms(std::int64_t size, const Add& add) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto even = hn::Zero(d);
  auto odd = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= size; i += 2 * lanes) {
    even = add(d, i, even);
    odd = add(d, i + lanes, odd);
  }
  if (i + lanes <= size) {
    even = add(d, i, even);
    i += lanes;
  }
  auto rest = hn::Zero(OneFloat());
  for (; i < size; ++i) rest = add(OneFloat(), i, rest);
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd))) + hn::GetLane(rest);
}

/// 2^(exponent + fraction), |fraction| ≤ 1/2, -127 ≤ exponent ≤ 127; zero for -127. The polynomial
/// is the minimax one of degree 6, relative error 2e-9 before rounding.
template <class D, class V = hn::VFromD<D>, class VI = hn::VFromD<hn::RebindToSigned<D>>>
HWY_INLINE V power_of_two(D d, VI exponent, V fraction) {
  V p = hn::Set(d, 1.5353361395e-4F);
  p = hn::MulAdd(p, fraction, hn::Set(d, 1.3398874433e-3F));
  p = hn::MulAdd(p, fraction, hn::Set(d, 9.6184373598e-3F));
  p = hn::MulAdd(p, fraction, hn::Set(d, 5.5503324711e-2F));
  p = hn::MulAdd(p, fraction, hn::Set(d, 2.4022647914e-1F));
  p = hn::MulAdd(p, fraction, hn::Set(d, 6.9314720286e-1F));
  p = hn::MulAdd(p, fraction, hn::Set(d, 1.0F));
  const hn::RebindToSigned<D> di;
  return hn::Mul(p, hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(exponent, hn::Set(di, 127)))));
}

/// 2^x for x ≤ 0, to about 1 ulp; 0 below the smallest normal number.
template <class D, class V = hn::VFromD<D>>
HWY_INLINE V exp2_of_non_positive(D d, V x) {
  const V clamped = hn::Max(hn::Set(d, -127.0F), x);  // x second: x86 then keeps a NaN
  const auto exponent = hn::NearestInt(clamped);
  return power_of_two(d, exponent, hn::Sub(clamped, hn::ConvertTo(d, exponent)));
}

/// e^x for x ≤ 0, to about 2 ulp; 0 below the smallest normal number.
template <class D, class V = hn::VFromD<D>>
HWY_INLINE V exp_of_non_positive(D d, V x) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLog2ERest = 1.92596299e-8F;        // log2(e) - kLog2E
  const V clamped = hn::Max(hn::Set(d, -88.02F), x);  // its exponent is -127
  const auto exponent = hn::NearestInt(hn::Mul(clamped, hn::Set(d, kLog2E)));
  const V whole = hn::ConvertTo(d, exponent);
  const V fraction = hn::MulSub(clamped, hn::Set(d, kLog2E), whole);
  return power_of_two(d, exponent, hn::MulAdd(clamped, hn::Set(d, kLog2ERest), fraction));
}

/// 1 / (1 + e^-x)
template <class D, class V = hn::VFromD<D>>
HWY_INLINE V sigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0F);
  const V e = exp_of_non_positive(d, hn::Neg(hn::Abs(x)));
  const V numerator = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one);
  return hn::Div(numerator, hn::Add(one, e));
}

}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
