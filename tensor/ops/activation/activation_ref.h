#pragma once
#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/ops/activation/kind.h"
#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

/// A gradient by gate and up.
template <class T>
struct GateUp {
  T gate;
  T up;
};

template <class T>
T sigmoid(T x) {
  return T{1} / (T{1} + std::exp(-x));
}

template <class T>
T gelu(T x) {
  return x / T{2} * std::erfc(-x / std::numbers::sqrt2_v<T>);
}

template <class T>
T gelu_slope(T x) {
  const T density = std::exp(-x * x / T{2}) * std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;
  return std::erfc(-x / std::numbers::sqrt2_v<T>) / T{2} + x * density;
}

template <class T>
T gelu_tanh(T x) {
  const T inner = T(kGeluScale) * (x + T(kGeluCubic) * x * x * x);
  return x / T{2} * (T{1} + std::tanh(inner));
}

template <class T>
T gelu_tanh_slope(T x) {
  const T tanh = std::tanh(T(kGeluScale) * (x + T(kGeluCubic) * x * x * x));
  const T inner_slope = T(kGeluScale) * (T{1} + T{3} * T(kGeluCubic) * x * x);
  return (T{1} + tanh) / T{2} + x / T{2} * (T{1} - tanh * tanh) * inner_slope;
}

/// The formulas of kind.h; a form without a gate ignores it.
template <class T>
T activate(Activation activation, T gate, T up) {
  const T limit(kClampedLimit);
  const T g = std::min(gate, limit);
  switch (activation) {
    case Activation::kSwiGlu:
      return gate * sigmoid(gate) * up;
    case Activation::kGeGlu:
      return gelu(gate) * up;
    case Activation::kGeGluTanh:
      return gelu_tanh(gate) * up;
    case Activation::kReGlu:
      return std::max(gate, T{0}) * up;
    case Activation::kRelu2:
      return std::max(up, T{0}) * std::max(up, T{0});
    case Activation::kRelu:
      return std::max(up, T{0});
    case Activation::kSilu:
      return up * sigmoid(up);
    case Activation::kGelu:
      return gelu(up);
    case Activation::kGeluTanh:
      return gelu_tanh(up);
    case Activation::kClampedSwiGlu:
      return g * sigmoid(T(kClampedSlope) * g) * (std::clamp(up, -limit, limit) + T{1});
  }
  return T{0};
}

template <class T>
GateUp<T> activation_slopes(Activation activation, T gate, T up) {
  const T s = sigmoid(gate);
  const T limit(kClampedLimit);
  const T slope(kClampedSlope);
  const T g = std::min(gate, limit);
  const T s_clamped = sigmoid(slope * g);
  switch (activation) {
    case Activation::kSwiGlu:
      return {up * s * (T{1} + gate * (T{1} - s)), gate * s};
    case Activation::kGeGlu:
      return {up * gelu_slope(gate), gelu(gate)};
    case Activation::kGeGluTanh:
      return {up * gelu_tanh_slope(gate), gelu_tanh(gate)};
    case Activation::kReGlu:
      return {gate > T{0} ? up : T{0}, std::max(gate, T{0})};
    case Activation::kRelu2:
      return {T{0}, T{2} * std::max(up, T{0})};
    case Activation::kSilu:
      return {T{0}, sigmoid(up) * (T{1} + up * (T{1} - sigmoid(up)))};
    case Activation::kRelu:
      return {T{0}, up > T{0} ? T{1} : T{0}};
    case Activation::kGelu:
      return {T{0}, gelu_slope(up)};
    case Activation::kGeluTanh:
      return {T{0}, gelu_tanh_slope(up)};
    case Activation::kClampedSwiGlu:
      return {gate > limit ? T{0}
                           : (std::clamp(up, -limit, limit) + T{1}) * s_clamped *
                                 (T{1} + slope * g * (T{1} - s_clamped)),
              std::abs(up) > limit ? T{0} : g * s_clamped};
  }
  return {};
}

template <class T>
void activation_forward(Activation activation, Input<T> x, Matrix<T> y) {
  const std::int64_t up = input_columns(activation) == 2 ? y.columns : 0;
  for (std::int64_t t = 0; t < y.rows; ++t) {
    for (std::int64_t j = 0; j < y.columns; ++j) y(t, j) = activate<T>(activation, x(t, j), x(t, up + j));
  }
}

template <class T>
void activation_backward(Activation activation, Input<T> dy, Input<T> x, Matrix<T> dx) {
  const bool gated = input_columns(activation) == 2;
  const std::int64_t up = gated ? dy.columns : 0;
  for (std::int64_t t = 0; t < dy.rows; ++t) {
    for (std::int64_t j = 0; j < dy.columns; ++j) {
      const auto slopes = activation_slopes<T>(activation, x(t, j), x(t, up + j));
      if (gated) dx(t, j) = dy(t, j) * slopes.gate;
      dx(t, up + j) = dy(t, j) * slopes.up;
    }
  }
}

}  // namespace troupe::ops::reference
