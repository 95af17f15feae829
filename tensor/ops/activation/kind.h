#pragma once
#include <cstdint>

namespace troupe::ops {

/// What a feed-forward does between its two matrix products. The gated ones (arXiv 2002.05202) take a gate
/// and an up projection, the others one up projection.
///   kSwiGlu         silu(gate) * up
///   kGeGlu          gelu(gate) * up
///   kGeGluTanh      gelu_tanh(gate) * up
///   kReGlu          max(gate, 0) * up
///   kRelu2          max(up, 0)^2 (arXiv 2109.08668)
///   kSilu           silu(up)
///   kRelu           max(up, 0)
///   kGelu           gelu(up)
///   kGeluTanh       gelu_tanh(up)
///   kClampedSwiGlu  g * sigmoid(1.702 g) * (u + 1), g = min(gate, 7), u = clamp(up, -7, 7) (gpt-oss)
/// gelu(x) = x/2 * (1 + erf(x / sqrt(2))); gelu_tanh(x) = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))),
/// which is within 5e-4 of it (both arXiv 1606.08415).
enum class Activation {
  kSwiGlu,
  kGeGlu,
  kReGlu,
  kRelu2,
  kGelu,
  kClampedSwiGlu,
  kGeGluTanh,
  kGeluTanh,
  kRelu,
  kSilu
};

/// Columns of an activation's input for one of its output: gate and up, or up alone.
[[nodiscard]] constexpr std::int64_t input_columns(Activation activation) {
  switch (activation) {
    case Activation::kRelu2:
    case Activation::kGelu:
    case Activation::kGeluTanh:
    case Activation::kRelu:
    case Activation::kSilu:
      return 1;
    default:
      return 2;
  }
}

inline constexpr double kGeluScale = 0.7978845608028654;  // sqrt(2 / pi)
inline constexpr double kGeluCubic = 0.044715;
inline constexpr double kClampedLimit = 7.0;
inline constexpr double kClampedSlope = 1.702;

}  // namespace troupe::ops
