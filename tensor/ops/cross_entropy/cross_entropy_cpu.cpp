#include "tensor/ops/cross_entropy/cross_entropy.h"

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/cross_entropy/cross_entropy_cpu.cpp"
#include <hwy/foreach_target.h>

#include "base/index.h"
#include "tensor/ops/checks.h"
#include "tensor/ops/device_ops.h"
#include "tensor/ops/matrix.h"
#include "tensor/ops/vector-inl.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

float largest_logit(const float* logits, std::int64_t vocab) {
  const Floats d;
  float largest = -std::numeric_limits<float>::infinity();
  auto even = hn::Set(d, largest);
  auto odd = even;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + 2 * lanes <= vocab; i += 2 * lanes) {
    even = hn::Max(even, hn::LoadU(d, logits + i));
    odd = hn::Max(odd, hn::LoadU(d, logits + i + lanes));
  }
  for (; i < vocab; ++i) largest = logits[i] > largest ? logits[i] : largest;
  const float vectors = hn::GetLane(hn::MaxOfLanes(d, hn::Max(even, odd)));
  return vectors > largest ? vectors : largest;
}

/// Σ e^(logit - largest).
float sum_of_exponentials(const float* logits, std::int64_t vocab, float largest) {
  return sum_of_terms(vocab, [&](auto d, std::int64_t i, auto total) HWY_ATTR {
    return hn::Add(total, exp_of_non_positive(d, hn::Sub(hn::LoadU(d, logits + i), hn::Set(d, largest))));
  });
}

/// The same, and leaves the exponentials in the logits' place.
float replace_by_exponentials(float* logits, std::int64_t vocab, float largest) {
  return sum_of_terms(vocab, [&](auto d, std::int64_t i, auto total) HWY_ATTR {
    const auto e = exp_of_non_positive(d, hn::Sub(hn::LoadU(d, logits + i), hn::Set(d, largest)));
    hn::StoreU(e, d, logits + i);
    return hn::Add(total, e);
  });
}

void scale_row(float* row, std::int64_t columns, float factor) {
  for_each_vector(0, columns, [&](auto d, std::int64_t i) HWY_ATTR {
    hn::StoreU(hn::Mul(hn::LoadU(d, row + i), hn::Set(d, factor)), d, row + i);
  });
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(largest_logit);
HWY_EXPORT(sum_of_exponentials);
HWY_EXPORT(replace_by_exponentials);
HWY_EXPORT(scale_row);

namespace {

std::span<const std::int32_t> checked_targets(const ConstTensorView& logits, const ConstTensorView& targets,
                                              const TensorView& nll, const TensorView& log_z) {
  TROUPE_CHECK(nll.elements() == logits.rows() && log_z.elements() == logits.rows(),
               "cross_entropy: nll {} and log_z {} for {} rows", nll.elements(), log_z.elements(),
               logits.rows());
  const auto values = integers("cross_entropy: targets", targets, logits.rows());
  for (const std::int32_t target : values) {
    TROUPE_CHECK(target >= -1 && target < logits.columns(), "cross_entropy: target {} of {}", target,
                 logits.columns());
  }
  return values;
}

/// Of every row.
struct Losses {
  std::span<double> nll;
  std::span<double> log_z;
};

/// Calls body(row, target) for every row: masked rows have their sums set to 0 first.
template <class Body>
void for_each_row(const Execution& execution, const ConstTensorView& logits,
                  std::span<const std::int32_t> targets, const Losses& losses, const Body& body) {
  const std::int64_t block = rows_of_a_task(logits.columns());
  parallel_for_blocks(execution, logits.rows(), block, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const auto index = at(row);
      losses.nll[index] = losses.log_z[index] = 0.0;
      body(index, targets[index]);
    }
  });
}

double log_of_sum(float largest, float sum) {
  return static_cast<double>(largest) + std::log(static_cast<double>(sum));
}

}  // namespace

void cross_entropy_forward(const Execution& execution, ConstTensorView logits, ConstTensorView targets,
                           TensorView nll, TensorView log_z) {
  const OpScope measured(execution, OpKind::kCrossEntropy);
  if (DeviceOps* device = device_ops(execution))
    return device->cross_entropy_forward(logits, targets, nll, log_z);
  const auto values = checked_targets(logits, targets, nll, log_z);
  const Losses losses{nll.doubles(), log_z.doubles()};
  const Matrix<const float> rows = matrix(logits);
  for_each_row(execution, logits, values, losses, [&](std::size_t index, std::int32_t target) {
    if (target < 0) return;
    const float* row = rows.row(static_cast<std::int64_t>(index));
    const float largest = HWY_DYNAMIC_DISPATCH(largest_logit)(row, rows.columns);
    losses.log_z[index] =
        log_of_sum(largest, HWY_DYNAMIC_DISPATCH(sum_of_exponentials)(row, rows.columns, largest));
    losses.nll[index] = losses.log_z[index] - static_cast<double>(row[target]);
  });
}

void cross_entropy_forward_backward(const Execution& execution, TensorView logits, ConstTensorView targets,
                                    float scale, float z_loss, TensorView nll, TensorView log_z) {
  const OpScope measured(execution, OpKind::kCrossEntropy);
  if (DeviceOps* device = device_ops(execution))
    return device->cross_entropy_forward_backward(logits, targets, scale, z_loss, nll, log_z);
  const auto values = checked_targets(logits, targets, nll, log_z);
  const Losses losses{nll.doubles(), log_z.doubles()};
  const Matrix<float> rows = matrix(logits);
  for_each_row(execution, logits, values, losses, [&](std::size_t index, std::int32_t target) {
    float* row = rows.row(static_cast<std::int64_t>(index));
    if (target < 0) {
      std::fill_n(row, rows.columns, 0.0F);
      return;
    }
    const auto target_logit = static_cast<double>(row[target]);
    const float largest = HWY_DYNAMIC_DISPATCH(largest_logit)(row, rows.columns);
    const float sum = HWY_DYNAMIC_DISPATCH(replace_by_exponentials)(row, rows.columns, largest);
    losses.log_z[index] = log_of_sum(largest, sum);
    losses.nll[index] = losses.log_z[index] - target_logit;
    const double factor =
        static_cast<double>(scale) * (1.0 + 2.0 * static_cast<double>(z_loss) * losses.log_z[index]);
    HWY_DYNAMIC_DISPATCH(scale_row)(row, rows.columns, static_cast<float>(factor / static_cast<double>(sum)));
    row[target] -= scale;
  });
}

}  // namespace troupe::ops
#endif
