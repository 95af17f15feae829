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

/// The norm of a step's gradient over all workers. Each adds the sums of the chunks that it owns to one exact
/// sum, which travels with the step's integers: what travels does not grow with the model.
class GradientNorm {
 public:
  /// The model must outlive it. sum: the place of the sum in the exchange
  GradientNorm(const model::Model& model, const Partition& partition, std::int64_t sum);

  /// Exact sums in the exchange.
  static constexpr std::int64_t kSums = 1;

  /// Adds the slices that this worker owns.
  void add(ConstTensorView dense, ConstTensorView experts, StepExchange& exchange);
  /// After the exchange's reduction; NaN when a gradient is not finite.
  [[nodiscard]] double norm(const StepExchange& exchange) const;
  /// Parameters whose gradient was not finite in the last add() of any worker, in the order of their names.
  /// Collective over all workers.
  [[nodiscard]] std::vector<std::string> not_finite();

 private:
  /// The chunks of one buffer's slice.
  struct Part {
    optimizer::ChunkSums sums;
    std::vector<std::size_t> name_of_chunk;  // in names_
  };

  [[nodiscard]] Part make_part(const ParameterTable& table, Partition::Slice slice) const;
  void add(Part& part, ConstTensorView gradient, StepExchange& exchange);

  const model::Model& model_;
  std::int64_t sum_;
  std::vector<std::string> names_;        // of all parameters, ascending
  std::vector<std::int64_t> not_finite_;  // [names_], chunks
  Part dense_;
  Part experts_;
};

}  // namespace troupe::workers
