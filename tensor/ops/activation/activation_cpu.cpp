#include "tensor/ops/activation/activation.h"

#include <iterator>
#include <numbers>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/activation/activation_cpu.cpp"
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

// Comparisons keep NaN, which Highway's Min and Max leave open.
template <class D, class V = hn::VFromD<D>>
HWY_INLINE V at_most(D d, float high, V x) {
  return hn::IfThenElse(hn::Gt(x, hn::Set(d, high)), hn::Set(d, high), x);
}

/// x * sigmoid(x); with s the sigmoid, its slope is s (1 + x (1 - s)).
struct Silu {
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V value(D d, V x) {
    return hn::Mul(x, sigmoid(d, x));
  }
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V slope(D d, V x) {
    const V one = hn::Set(d, 1.0F);
    const V s = sigmoid(d, x);
    return hn::Mul(s, hn::MulAdd(x, hn::Sub(one, s), one));
  }
};

/// x * share(x), where share(x) = erfc(-x / sqrt(2)) / 2 is the normal distribution's.
struct Gelu {
  /// erfc(z), z >= 0, with a relative error below 1.2e-7 but for that of the exponential: W. H. Press and
  /// others, "Numerical Recipes in C", 2nd edition, section 6.2, function erfcc.
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V upper_share(D d, V z) {
    constexpr float kCoefficients[] = {0.17087277F,  -0.82215223F, 1.48851587F, -1.13520398F, 0.27886807F,
                                       -0.18628806F, 0.09678418F,  0.37409196F, 1.00002368F,  -1.26551223F};
    const V t = hn::Div(hn::Set(d, 1.0F), hn::MulAdd(z, hn::Set(d, 0.5F), hn::Set(d, 1.0F)));
    V sum = hn::Set(d, kCoefficients[0]);
    for (std::size_t i = 1; i < std::size(kCoefficients); ++i)
      sum = hn::MulAdd(sum, t, hn::Set(d, kCoefficients[i]));
    // The sum is below 0 where t is between 0 and 1, but for rounding at z = 0.
    const V exponent = hn::Min(hn::NegMulAdd(z, z, sum), hn::Zero(d));
    return hn::Mul(t, exp_of_non_positive(d, exponent));
  }
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V share(D d, V x) {
    const V z = hn::Mul(hn::Abs(x), hn::Set(d, static_cast<float>(std::numbers::sqrt2 / 2.0)));
    const V above = hn::Mul(upper_share(d, z), hn::Set(d, 0.5F));
    const V below = hn::Sub(hn::Set(d, 1.0F), above);
    return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), below, above);
  }
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V value(D d, V x) {
    return hn::Mul(x, share(d, x));
  }
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V slope(D d, V x) {
    constexpr auto kDensity = static_cast<float>(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
    const V density =
        hn::Mul(exp_of_non_positive(d, hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5F))), hn::Set(d, kDensity));
    return hn::MulAdd(x, density, share(d, x));
  }
};

/// x * share(x), where (1 + tanh(a)) / 2 = sigmoid(2 a).
struct GeluTanh {
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V share(D d, V x) {
    const V cubic = hn::Mul(hn::Mul(x, x), hn::Set(d, static_cast<float>(kGeluCubic)));
    const V inner = hn::MulAdd(cubic, x, x);
    return sigmoid(d, hn::Mul(inner, hn::Set(d, static_cast<float>(2.0 * kGeluScale))));
  }
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V value(D d, V x) {
    return hn::Mul(x, share(d, x));
  }
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V slope(D d, V x) {
    const V one = hn::Set(d, 1.0F);
    const V s = share(d, x);
    const V square = hn::Mul(x, x);
    const V inner_slope = hn::MulAdd(square, hn::Set(d, static_cast<float>(6.0 * kGeluScale * kGeluCubic)),
                                     hn::Set(d, static_cast<float>(2.0 * kGeluScale)));
    const V change = hn::Mul(hn::Mul(x, hn::Sub(one, s)), inner_slope);
    return hn::Mul(s, hn::Add(one, change));
  }
};

struct Relu {
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V value(D d, V x) {
    return at_least(d, 0.0F, x);
  }
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V slope(D d, V x) {
    return hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), hn::Set(d, 1.0F));
  }
};

struct Relu2 {
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V value(D d, V x) {
    const V positive = at_least(d, 0.0F, x);
    return hn::Mul(positive, positive);
  }
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V slope(D d, V x) {
    const V positive = at_least(d, 0.0F, x);
    return hn::Add(positive, positive);
  }
};

/// g * sigmoid(1.702 g), g = min(gate, 7).
struct ClampedGate {
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V value(D d, V x) {
    const V g = at_most(d, kLimit, x);
    return hn::Mul(g, sigmoid(d, hn::Mul(hn::Set(d, kSlope), g)));
  }
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V slope(D d, V x) {
    const V one = hn::Set(d, 1.0F);
    const V scaled = hn::Mul(hn::Set(d, kSlope), x);
    const V s = sigmoid(d, scaled);
    const V inside = hn::Mul(s, hn::MulAdd(scaled, hn::Sub(one, s), one));
    return hn::IfThenZeroElse(hn::Gt(x, hn::Set(d, kLimit)), inside);
  }
  static constexpr auto kLimit = static_cast<float>(kClampedLimit);
  static constexpr auto kSlope = static_cast<float>(kClampedSlope);
};

/// The up half of a gated form as it is.
struct PlainUp {
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V value(D /*d*/, V x) {
    return x;
  }
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V pass(D /*d*/, V /*x*/, V gradient) {
    return gradient;
  }
};

/// clamp(up, -7, 7) + 1.
struct ClampedUp {
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V value(D d, V x) {
    const V clamped = at_least(d, -ClampedGate::kLimit, at_most(d, ClampedGate::kLimit, x));
    return hn::Add(clamped, hn::Set(d, 1.0F));
  }
  template <class D, class V = hn::VFromD<D>>
  HWY_INLINE static V pass(D d, V x, V gradient) {
    return hn::IfThenZeroElse(hn::Gt(hn::Abs(x), hn::Set(d, ClampedGate::kLimit)), gradient);
  }
};

template <class Gate, class Up>
struct Gated {
  static void forward(Matrix<const float> x, Matrix<float> y, std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      const float* gate_row = x.row(t);
      const float* up_row = gate_row + y.columns;
      float* y_row = y.row(t);
      for_each_vector(0, y.columns, [&](auto d, std::int64_t j) HWY_ATTR {
        const auto gate = hn::LoadU(d, gate_row + j);
        const auto up = hn::LoadU(d, up_row + j);
        hn::StoreU(hn::Mul(Gate::value(d, gate), Up::value(d, up)), d, y_row + j);
      });
    }
  }

  static void backward(Matrix<const float> dy, Matrix<const float> x, Matrix<float> dx, std::int64_t first,
                       std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      const float* dy_row = dy.row(t);
      const float* gate_row = x.row(t);
      const float* up_row = gate_row + dy.columns;
      float* dgate_row = dx.row(t);
      float* dup_row = dgate_row + dy.columns;
      for_each_vector(0, dy.columns, [&](auto d, std::int64_t j) HWY_ATTR {
        const auto gate = hn::LoadU(d, gate_row + j);
        const auto up = hn::LoadU(d, up_row + j);
        const auto dout = hn::LoadU(d, dy_row + j);
        const auto dgate = hn::Mul(hn::Mul(dout, Up::value(d, up)), Gate::slope(d, gate));
        const auto dup = Up::pass(d, up, hn::Mul(dout, Gate::value(d, gate)));
        hn::StoreU(dgate, d, dgate_row + j);
        hn::StoreU(dup, d, dup_row + j);
      });
    }
  }
};

template <class Function>
struct Plain {
  static void forward(Matrix<const float> x, Matrix<float> y, std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      const float* x_row = x.row(t);
      float* y_row = y.row(t);
      for_each_vector(0, y.columns, [&](auto d, std::int64_t j) HWY_ATTR {
        hn::StoreU(Function::value(d, hn::LoadU(d, x_row + j)), d, y_row + j);
      });
    }
  }

  static void backward(Matrix<const float> dy, Matrix<const float> x, Matrix<float> dx, std::int64_t first,
                       std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      const float* dy_row = dy.row(t);
      const float* x_row = x.row(t);
      float* dx_row = dx.row(t);
      for_each_vector(0, dy.columns, [&](auto d, std::int64_t j) HWY_ATTR {
        const auto slope = Function::slope(d, hn::LoadU(d, x_row + j));
        hn::StoreU(hn::Mul(hn::LoadU(d, dy_row + j), slope), d, dx_row + j);
      });
    }
  }
};

/// Calls body with the kernel of the form.
template <class Body>
void with_kernel(Activation activation, const Body& body) {
  switch (activation) {
    case Activation::kSwiGlu:
      return body(Gated<Silu, PlainUp>());
    case Activation::kGeGlu:
      return body(Gated<Gelu, PlainUp>());
    case Activation::kGeGluTanh:
      return body(Gated<GeluTanh, PlainUp>());
    case Activation::kReGlu:
      return body(Gated<Relu, PlainUp>());
    case Activation::kRelu2:
      return body(Plain<Relu2>());
    case Activation::kRelu:
      return body(Plain<Relu>());
    case Activation::kSilu:
      return body(Plain<Silu>());
    case Activation::kGelu:
      return body(Plain<Gelu>());
    case Activation::kGeluTanh:
      return body(Plain<GeluTanh>());
    case Activation::kClampedSwiGlu:
      return body(Gated<ClampedGate, ClampedUp>());
  }
}

void activation_forward_rows(Activation activation, Matrix<const float> x, Matrix<float> y,
                             std::int64_t first, std::int64_t last) {
  with_kernel(activation, [&](auto kernel) { kernel.forward(x, y, first, last); });
}

void activation_backward_rows(Activation activation, Matrix<const float> dy, Matrix<const float> x,
                              Matrix<float> dx, std::int64_t first, std::int64_t last) {
  with_kernel(activation, [&](auto kernel) { kernel.backward(dy, x, dx, first, last); });
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(activation_forward_rows);
HWY_EXPORT(activation_backward_rows);

void activation_forward(const Execution& execution, Activation activation, ConstTensorView x, TensorView y) {
  const OpScope measured(execution, OpKind::kActivation);
  if (DeviceOps* device = device_ops(execution)) return device->activation_forward(activation, x, y);
  check_matrix("activation: x", x, y.rows(), input_columns(activation) * y.columns());
  parallel_for_blocks(execution, y.rows(), rows_of_a_task(y.columns()),
                      [&](std::int64_t first, std::int64_t last) {
                        HWY_DYNAMIC_DISPATCH(activation_forward_rows)
                        (activation, matrix(x), matrix(y), first, last);
                      });
}

void activation_backward(const Execution& execution, Activation activation, ConstTensorView dy,
                         ConstTensorView x, TensorView dx) {
  const OpScope measured(execution, OpKind::kActivation);
  if (DeviceOps* device = device_ops(execution)) return device->activation_backward(activation, dy, x, dx);
  const std::int64_t columns = input_columns(activation) * dy.columns();
  check_matrix("activation: x", x, dy.rows(), columns);
  check_matrix("activation: dx", dx, dy.rows(), columns);
  parallel_for_blocks(execution, dy.rows(), rows_of_a_task(dy.columns()),
                      [&](std::int64_t first, std::int64_t last) {
                        HWY_DYNAMIC_DISPATCH(activation_backward_rows)
                        (activation, matrix(dy), matrix(x), matrix(dx), first, last);
                      });
}

}  // namespace troupe::ops
#endif
