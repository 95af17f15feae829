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

/// Adding this to a float of magnitude below 2^22 rounds it to an integer n, and leaves n + 127 in
/// the low bits of the sum: where the exponent of 2^n is made from.
inline constexpr float kRoundToExponent = 12582912.0F + 127.0F;  // 1.5 * 2^23, and the exponent's bias

/// 2^(n + fraction), |fraction| ≤ 1/2 and -127 ≤ n ≤ 127, where rounded = n + kRoundToExponent; zero
/// for n = -127. The polynomial is the minimax one of degree 6, relative error 2e-9 before rounding.
template <class D, class V = hn::VFromD<D>>
HWY_INLINE V power_of_two(D d, V rounded, V fraction) {
  V p = hn::Set(d, 1.5353361395e-4F);
  p = hn::MulAdd(p, fraction, hn::Set(d, 1.3398874433e-3F));
  p = hn::MulAdd(p, fraction, hn::Set(d, 9.6184373598e-3F));
  p = hn::MulAdd(p, fraction, hn::Set(d, 5.5503324711e-2F));
  p = hn::MulAdd(p, fraction, hn::Set(d, 2.4022647914e-1F));
  p = hn::MulAdd(p, fraction, hn::Set(d, 6.9314720286e-1F));
  p = hn::MulAdd(p, fraction, hn::Set(d, 1.0F));
  const hn::RebindToSigned<D> di;
  return hn::Mul(p, hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(di, rounded))));
}

/// max(low, x), but NaN for NaN, which Highway's Max leaves open.
template <class D, class V = hn::VFromD<D>>
HWY_INLINE V at_least(D d, float low, V x) {
  return hn::IfThenElse(hn::Lt(x, hn::Set(d, low)), hn::Set(d, low), x);
}

/// 2^x for x ≤ 0, to about 1 ulp; 0 below the smallest normal number, NaN for NaN.
template <class D, class V = hn::VFromD<D>>
HWY_INLINE V exp2_of_non_positive(D d, V x) {
  const V clamped = at_least(d, -127.0F, x);
  const V rounded = hn::Add(clamped, hn::Set(d, kRoundToExponent));
  const V whole = hn::Sub(rounded, hn::Set(d, kRoundToExponent));
  return power_of_two(d, rounded, hn::Sub(clamped, whole));
}

/// e^x for x ≤ 0, to about 2 ulp; 0 below the smallest normal number, NaN for NaN.
template <class D, class V = hn::VFromD<D>>
HWY_INLINE V exp_of_non_positive(D d, V x) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLog2ERest = 1.92596299e-8F;  // log2(e) - kLog2E
  const V clamped = at_least(d, -88.02F, x);    // its n is -127
  const V rounded = hn::MulAdd(clamped, hn::Set(d, kLog2E), hn::Set(d, kRoundToExponent));
  const V whole = hn::Sub(rounded, hn::Set(d, kRoundToExponent));
  const V fraction = hn::MulSub(clamped, hn::Set(d, kLog2E), whole);
  return power_of_two(d, rounded, hn::MulAdd(clamped, hn::Set(d, kLog2ERest), fraction));
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
