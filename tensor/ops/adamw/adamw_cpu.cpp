#include "tensor/ops/adamw/adamw.h"

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/adamw/adamw_cpu.cpp"
#include <hwy/foreach_target.h>

#include "base/error.h"
#include "tensor/ops/vector-inl.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

#ifndef TROUPE_TENSOR_OPS_ADAMW_FACTORS
#define TROUPE_TENSOR_OPS_ADAMW_FACTORS
namespace troupe::ops {
namespace {

/// What one step multiplies with, rounded once.
struct AdamWFactors {
  float gradient;  // clipping
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float deviation;  // 1 / sqrt(1 - beta2^step)
  float eps;
  float keep;  // 1 - lr * weight_decay
  float rate;  // lr / (1 - beta1^step)

  explicit AdamWFactors(const AdamWStep& step)
      : gradient(step.gradient_scale),
        beta1(static_cast<float>(step.beta1)),
        one_minus_beta1(static_cast<float>(1.0 - step.beta1)),
        beta2(static_cast<float>(step.beta2)),
        one_minus_beta2(static_cast<float>(1.0 - step.beta2)),
        deviation(
            static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(step.beta2, static_cast<double>(step.step))))),
        eps(static_cast<float>(step.eps)),
        keep(static_cast<float>(1.0 - step.lr * step.weight_decay)),
        rate(static_cast<float>(step.lr / (1.0 - std::pow(step.beta1, static_cast<double>(step.step))))) {}
};

/// The arrays of one update.
struct AdamWArrays {
  float* value;
  const float* gradient;
  float* first_moment;
  float* second_moment;
};

}  // namespace
}  // namespace troupe::ops
#endif

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

void adamw_elements(const AdamWFactors& factors, const AdamWArrays& arrays, std::int64_t begin,
                    std::int64_t end) {
  for_each_vector(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto g = hn::Mul(hn::LoadU(d, arrays.gradient + i), hn::Set(d, factors.gradient));
    const auto m = hn::MulAdd(hn::Set(d, factors.beta1), hn::LoadU(d, arrays.first_moment + i),
                              hn::Mul(hn::Set(d, factors.one_minus_beta1), g));
    // Bounded three times, so that nothing finite becomes infinite.
    const auto most = hn::Set(d, std::numeric_limits<float>::max());
    const auto bounded = [&](auto x) HWY_ATTR { return hn::Max(hn::Min(x, most), hn::Neg(most)); };
    const auto v = hn::Min(hn::MulAdd(hn::Set(d, factors.beta2), hn::LoadU(d, arrays.second_moment + i),
                                      hn::Mul(hn::Mul(hn::Set(d, factors.one_minus_beta2), g), g)),
                           most);
    const auto deviation = hn::MulAdd(hn::Sqrt(v), hn::Set(d, factors.deviation), hn::Set(d, factors.eps));
    const auto kept = hn::Mul(hn::LoadU(d, arrays.value + i), hn::Set(d, factors.keep));
    hn::StoreU(m, d, arrays.first_moment + i);
    hn::StoreU(v, d, arrays.second_moment + i);
    const auto direction = bounded(hn::Div(m, deviation));
    hn::StoreU(bounded(hn::NegMulAdd(hn::Set(d, factors.rate), direction, kept)), d, arrays.value + i);
  });
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(adamw_elements);

namespace {
constexpr std::int64_t kElementsOfATask = 1 << 15;
}  // namespace

void adamw(const Execution& execution, const AdamWStep& step, std::span<float> value,
           std::span<const float> gradient, std::span<float> first_moment, std::span<float> second_moment) {
  const OpScope measured(execution, OpKind::kAdamW);
  TROUPE_CHECK(gradient.size() == value.size() && first_moment.size() == value.size() &&
                   second_moment.size() == value.size(),
               "adamw: {} values, {} gradients, {} and {} moments", value.size(), gradient.size(),
               first_moment.size(), second_moment.size());
  TROUPE_CHECK(step.step >= 1, "adamw: the first step is 1, not {}", step.step);
  const AdamWFactors factors(step);
  const AdamWArrays arrays{value.data(), gradient.data(), first_moment.data(), second_moment.data()};
  const auto count = static_cast<std::int64_t>(value.size());
  parallel_for_blocks(execution, count, kElementsOfATask, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(adamw_elements)(factors, arrays, begin, end);
  });
}

}  // namespace troupe::ops
#endif
