#include "tensor/ops/checks.h"
#include "tensor/ops/cross_entropy/cross_entropy.h"
#include "tensor/ops/cross_entropy/cross_entropy_ref.h"

namespace troupe::ops {
namespace {

std::span<const std::int32_t> checked_targets(const ConstTensorView& logits, const ConstTensorView& targets,
                                              std::span<double> nll, std::span<double> log_z) {
  const auto rows = static_cast<std::size_t>(logits.rows());
  TROUPE_CHECK(nll.size() == rows && log_z.size() == rows, "cross_entropy: nll {} and log_z {} for {} rows",
               nll.size(), log_z.size(), rows);
  const auto values = integers("cross_entropy: targets", targets, logits.rows());
  for (const std::int32_t target : values) {
    TROUPE_CHECK(target >= -1 && target < logits.columns(), "cross_entropy: target {} of {}", target,
                 logits.columns());
  }
  return values;
}

}  // namespace

void cross_entropy_forward(const Execution&, ConstTensorView logits, ConstTensorView targets,
                           std::span<double> nll, std::span<double> log_z) {
  const auto values = checked_targets(logits, targets, nll, log_z);
  reference::cross_entropy_forward<float>(reference::matrix(logits), values, nll, log_z);
}

void cross_entropy_forward_backward(const Execution&, TensorView logits, ConstTensorView targets, float scale,
                                    float z_loss, std::span<double> nll, std::span<double> log_z) {
  const auto values = checked_targets(logits, targets, nll, log_z);
  reference::cross_entropy_forward_backward<float>(reference::matrix(logits), values, scale, z_loss, nll,
                                                   log_z);
}

}  // namespace troupe::ops
