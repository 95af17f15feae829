#pragma once
#include "tensor/cuda/kernel.h"

/// Own elementary functions: products and sums in a written order, fused only where fmaf says so, so that a
/// GPU and its emulation give equal bits. (The files are compiled with contraction off.)
namespace troupe::cuda {

/// e^x for x ≤ 0, to about 2 ulp; 0 below the smallest normal number, NaN for NaN. As exp_of_non_positive()
/// of tensor/ops/vector-inl.h.
__device__ __forceinline__ float exp_of_non_positive(float x) {
  constexpr float kRoundToExponent = 12582912.0F + 127.0F;  // 1.5 * 2^23, and the exponent's bias
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLog2ERest = 1.92596299e-8F;
  const float clamped = x < -88.02F ? -88.02F : x;
  const float rounded = fmaf(clamped, kLog2E, kRoundToExponent);
  const float whole = rounded - kRoundToExponent;
  float fraction = fmaf(clamped, kLog2E, -whole);
  fraction = fmaf(clamped, kLog2ERest, fraction);
  float p = 1.5353361395e-4F;  // minimax of degree 6 for 2^fraction
  p = fmaf(p, fraction, 1.3398874433e-3F);
  p = fmaf(p, fraction, 9.6184373598e-3F);
  p = fmaf(p, fraction, 5.5503324711e-2F);
  p = fmaf(p, fraction, 2.4022647914e-1F);
  p = fmaf(p, fraction, 6.9314720286e-1F);
  p = fmaf(p, fraction, 1.0F);
  const auto exponent = static_cast<std::uint32_t>(__float_as_int(rounded)) << 23U;
  return p * __int_as_float(static_cast<int>(exponent));
}

/// 1 / (1 + e^-x)
__device__ __forceinline__ float sigmoid(float x) {
  const float e = exp_of_non_positive(x < 0.0F ? x : -x);
  return (x < 0.0F ? e : 1.0F) / (1.0F + e);
}

/// tanh, to about 2 ulp: near 0 by its series, so that no digits cancel.
__device__ __forceinline__ float tanh_f32(float x) {
  const float size = x < 0.0F ? -x : x;
  if (size < 0.25F) {
    const float square = x * x;
    float p = -1382.0F / 155925.0F;
    p = fmaf(p, square, 62.0F / 2835.0F);
    p = fmaf(p, square, -17.0F / 315.0F);
    p = fmaf(p, square, 2.0F / 15.0F);
    p = fmaf(p, square, -1.0F / 3.0F);
    return fmaf(x * square, p, x);
  }
  const float e = exp_of_non_positive(-2.0F * size);
  const float t = (1.0F - e) / (1.0F + e);
  return x < 0.0F ? -t : t;
}

/// Natural logarithm of a positive normal number, to about 1 ulp: with m in (√½, √2] and z = (m-1)/(m+1),
/// e ln 2 + 2 (z + z³/3 + z⁵/5 + …).
__device__ __forceinline__ double log_f64(double x) {
  auto bits = static_cast<std::uint64_t>(__double_as_longlong(x));
  auto exponent = static_cast<int>(bits >> 52U) - 1023;
  bits = (bits & 0x000FFFFFFFFFFFFFULL) | 0x3FF0000000000000ULL;
  double m = __longlong_as_double(static_cast<long long>(bits));
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double z = (m - 1.0) / (m + 1.0);
  const double w = z * z;
  double p = 1.0 / 23.0;
  p = p * w + 1.0 / 21.0;
  p = p * w + 1.0 / 19.0;
  p = p * w + 1.0 / 17.0;
  p = p * w + 1.0 / 15.0;
  p = p * w + 1.0 / 13.0;
  p = p * w + 1.0 / 11.0;
  p = p * w + 1.0 / 9.0;
  p = p * w + 1.0 / 7.0;
  p = p * w + 1.0 / 5.0;
  p = p * w + 1.0 / 3.0;
  const double e = exponent;
  constexpr double kLn2High = 6.93147180369123816490e-01;  // 32 bits: e * kLn2High is exact
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  return e * kLn2High + (2.0 * z + (2.0 * z * w * p + e * kLn2Low));
}

__device__ __forceinline__ float log_f32(float x) {
  return static_cast<float>(log_f64(static_cast<double>(x)));
}

/// log(1 + x) for 0 ≤ x ≤ 1
__device__ __forceinline__ float log1p_of_fraction(float x) {
  if (x < 1e-4F) return fmaf(x * x, fmaf(x, 1.0F / 3.0F, -0.5F), x);
  return static_cast<float>(log_f64(1.0 + static_cast<double>(x)));
}

/// log(1 + e^x), without overflow
__device__ __forceinline__ float softplus(float x) {
  return (x > 0.0F ? x : 0.0F) + log1p_of_fraction(exp_of_non_positive(x < 0.0F ? x : -x));
}

}  // namespace troupe::cuda
