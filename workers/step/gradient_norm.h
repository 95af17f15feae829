#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/model.h"
#include "optimizer/chunk_sums.h"
#include "workers/step/partition.h"
#include "workers/step/step_exchange.h"

namespace troupe::workers {

/// The norm of a step's gradient over all workers, from sums that travel with the step's integers.
class GradientNorm {
 public:
  /// The model must outlive it. first_value: the place of the sums in the exchange
  GradientNorm(const model::Model& model, std::int64_t first_value);

  /// fp64 values in the exchange.
  [[nodiscard]] std::int64_t values() const { return std::ssize(values_); }

  /// Sums of the slices that this worker owns.
  void fill(const Partition& partition, std::span<const float> dense, std::span<const float> experts,
            StepExchange& exchange);
  /// After the exchange's reduction.
  [[nodiscard]] double norm(const StepExchange& exchange);
  /// Parameters whose gradient was not finite in the last norm(), in the order of their names.
  [[nodiscard]] std::vector<std::string> not_finite() const;

 private:
  const model::Model& model_;
  ParameterTable global_;  // in the order of the sums
  optimizer::ChunkSums sums_;
  std::int64_t first_value_;
  std::vector<double> values_;
};

}  // namespace troupe::workers
