#pragma once
#include <cstdint>
#include <span>

#include "layout/layout.h"
#include "model/microbatch.h"
#include "model/options.h"
#include "workers/step/step_exchange.h"
#include "workers/step/step_result.h"

namespace troupe::workers {

/// What a global batch's losses are divided by and scaled with.
struct LossScale {
  std::int64_t target_tokens = 0;
  std::int64_t routed_tokens = 0;
  std::span<const double> aux_coefficients;  // [aux losses]
};

/// Sums of every microbatch's losses, added in (accumulation step, lane) order whoever computed them. They
/// travel as the first values of the step's exchange.
class LossSums {
 public:
  LossSums(const model::ModelOptions& options, const layout::BatchShape& batch);

  /// fp64 values in the exchange.
  [[nodiscard]] std::int64_t values() const { return microbatches_ * per_microbatch_; }
  /// Losses without a value yet.
  [[nodiscard]] StepLosses make_losses() const;

  /// microbatch: accumulation step * grad_lanes + lane
  void record(std::int64_t microbatch, const model::MicrobatchResult& result, StepExchange& exchange) const;
  /// After the exchange's reduction.
  void sum(const StepExchange& exchange, const LossScale& scale, StepLosses& losses) const;

 private:
  struct Sums;
  [[nodiscard]] Sums add_up(const StepExchange& exchange, const LossScale& scale, StepLosses& losses) const;

  double z_loss_;  // coefficients
  double router_z_loss_;
  std::int64_t layers_;  // with experts
  std::int64_t losses_;  // auxiliary
  std::int64_t microbatches_;
  std::int64_t per_microbatch_;
};

}  // namespace troupe::workers
