#pragma once
#include <cstdint>
#include <span>

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

/// Sums of every microbatch's losses, exact whoever computed them. They travel as the first sums of the
/// step's exchange.
class LossSums {
 public:
  explicit LossSums(const model::ModelOptions& options);

  /// Exact sums in the exchange.
  [[nodiscard]] std::int64_t sums() const {
    return (compares_ ? 4 : 2) + (mtp_.depth > 0 ? 1 : 0) + layers_ * (losses_ + 1);
  }
  /// Losses without a value yet.
  [[nodiscard]] StepLosses make_losses() const;

  /// Adds a microbatch's.
  void add(const model::MicrobatchResult& result, StepExchange& exchange) const;
  /// After the exchange's reduction.
  void sum(const StepExchange& exchange, const LossScale& scale, StepLosses& losses) const;

 private:
  bool compares_;  // pairs of answers
  double z_loss_;  // coefficients
  double router_z_loss_;
  model::MtpOptions mtp_;
  std::int64_t layers_;  // with experts
  std::int64_t losses_;  // auxiliary
};

}  // namespace troupe::workers
