#include "tensor/cuda/activation.h"

#include "tensor/cuda/limits.h"
#include "tensor/cuda/math.h"
#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

using ops::Activation;

struct GateUp {
  float gate;
  float up;
};

/// gelu_tanh(x) = x σ(2u), u = √(2/π) (x + 0.044715 x³): (1 + tanh u) / 2 = σ(2u).
__device__ __forceinline__ float gelu_gate(float x) {
  constexpr auto kScale = static_cast<float>(2.0 * ops::kGeluScale);
  constexpr auto kCubic = static_cast<float>(ops::kGeluCubic);
  return sigmoid(kScale * fmaf(kCubic * x * x, x, x));
}

__device__ __forceinline__ float gelu_slope(float x) {
  constexpr auto kScale = static_cast<float>(2.0 * ops::kGeluScale);
  constexpr auto kCubic = static_cast<float>(3.0 * ops::kGeluCubic);
  const float s = gelu_gate(x);
  return s + x * s * (1.0F - s) * (kScale * fmaf(kCubic * x, x, 1.0F));
}

__device__ __forceinline__ float clamp(float x, float limit) { return larger(-limit, smaller(x, limit)); }

/// A form without a gate ignores it.
template <Activation kActivation>
__device__ __forceinline__ float activate(float gate, float up) {
  constexpr auto kLimit = static_cast<float>(ops::kClampedLimit);
  constexpr auto kSlope = static_cast<float>(ops::kClampedSlope);
  switch (kActivation) {
    case Activation::kSwiGlu:
      return gate * sigmoid(gate) * up;
    case Activation::kGeGluTanh:
      return gate * gelu_gate(gate) * up;
    case Activation::kReGlu:
      return larger(gate, 0.0F) * up;
    case Activation::kRelu2:
      return larger(up, 0.0F) * larger(up, 0.0F);
    case Activation::kGeluTanh:
      return up * gelu_gate(up);
    case Activation::kRelu:
      return larger(up, 0.0F);
    case Activation::kSilu:
      return up * sigmoid(up);
    default:  // clamped SwiGLU: no kernel is made of the forms by erf
      break;
  }
  const float g = smaller(gate, kLimit);
  return g * sigmoid(kSlope * g) * (clamp(up, kLimit) + 1.0F);
}

template <Activation kActivation>
__device__ __forceinline__ GateUp slopes(float gate, float up) {
  constexpr auto kLimit = static_cast<float>(ops::kClampedLimit);
  constexpr auto kSlope = static_cast<float>(ops::kClampedSlope);
  switch (kActivation) {
    case Activation::kSwiGlu: {
      const float s = sigmoid(gate);
      return {up * s * fmaf(gate, 1.0F - s, 1.0F), gate * s};
    }
    case Activation::kGeGluTanh:
      return {up * gelu_slope(gate), gate * gelu_gate(gate)};
    case Activation::kReGlu:
      return {gate > 0.0F ? up : 0.0F, larger(gate, 0.0F)};
    case Activation::kRelu2:
      return {0.0F, 2.0F * larger(up, 0.0F)};
    case Activation::kGeluTanh:
      return {0.0F, gelu_slope(up)};
    case Activation::kRelu:
      return {0.0F, up > 0.0F ? 1.0F : 0.0F};
    case Activation::kSilu: {
      const float s = sigmoid(up);
      return {0.0F, s * fmaf(up, 1.0F - s, 1.0F)};
    }
    default:  // clamped SwiGLU: no kernel is made of the forms by erf
      break;
  }
  const float g = smaller(gate, kLimit);
  const float s = sigmoid(kSlope * g);
  return {gate > kLimit ? 0.0F : (clamp(up, kLimit) + 1.0F) * s * fmaf(kSlope * g, 1.0F - s, 1.0F),
          up > kLimit || up < -kLimit ? 0.0F : g * s};
}

/// A thread per element of y.
template <Activation kActivation>
__global__ void __launch_bounds__(kRowThreads) forward_kernel(Matrix<const float> x, Matrix<float> y) {
  const std::int64_t index = global_thread();
  if (index >= y.rows * y.columns) return;
  const std::int64_t token = index / y.columns;
  const std::int64_t j = index % y.columns;
  const float* row = x.row(token);
  const std::int64_t up = ops::input_columns(kActivation) == 2 ? y.columns : 0;
  y.row(token)[j] = activate<kActivation>(row[j], row[up + j]);
}

/// A thread per element of dy; dx may be x.
template <Activation kActivation>
__global__ void __launch_bounds__(kRowThreads)
    backward_kernel(Matrix<const float> dy, Matrix<const float> x, Matrix<float> dx) {
  const std::int64_t index = global_thread();
  if (index >= dy.rows * dy.columns) return;
  const std::int64_t token = index / dy.columns;
  const std::int64_t j = index % dy.columns;
  constexpr bool kGated = ops::input_columns(kActivation) == 2;
  const std::int64_t up = kGated ? dy.columns : 0;
  const float gradient = dy.row(token)[j];
  const GateUp slope = slopes<kActivation>(x.row(token)[j], x.row(token)[up + j]);
  if (kGated) dx.row(token)[j] = gradient * slope.gate;
  dx.row(token)[up + j] = gradient * slope.up;
}

/// Calls body.template operator()<kActivation>(). kConfig for the forms by erf.
template <class Body>
void with_activation(Activation activation, const Body& body) {
  switch (activation) {
    case Activation::kSwiGlu:
      return body.template operator()<Activation::kSwiGlu>();
    case Activation::kGeGluTanh:
      return body.template operator()<Activation::kGeGluTanh>();
    case Activation::kReGlu:
      return body.template operator()<Activation::kReGlu>();
    case Activation::kRelu2:
      return body.template operator()<Activation::kRelu2>();
    case Activation::kGeluTanh:
      return body.template operator()<Activation::kGeluTanh>();
    case Activation::kRelu:
      return body.template operator()<Activation::kRelu>();
    case Activation::kSilu:
      return body.template operator()<Activation::kSilu>();
    case Activation::kClampedSwiGlu:
      return body.template operator()<Activation::kClampedSwiGlu>();
    case Activation::kGeGlu:
      refuse_activation("geglu");
    case Activation::kGelu:
      refuse_activation("gelu");
  }
}

}  // namespace

void activation_forward(Stream stream, Activation activation, Matrix<const float> x, Matrix<float> y) {
  with_activation(activation, [&]<Activation kActivation>() {
    launch(stream, grid_of_threads(y.rows * y.columns), kRowThreads, 0, "activation_forward",
           forward_kernel<kActivation>, x, y);
  });
}

void activation_backward(Stream stream, Activation activation, Matrix<const float> dy, Matrix<const float> x,
                         Matrix<float> dx) {
  with_activation(activation, [&]<Activation kActivation>() {
    launch(stream, grid_of_threads(dy.rows * dy.columns), kRowThreads, 0, "activation_backward",
           backward_kernel<kActivation>, dy, x, dx);
  });
}

}  // namespace troupe::cuda
