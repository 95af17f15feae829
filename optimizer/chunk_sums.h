#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/execution.h"
#include "tensor/parameter.h"

namespace troupe::optimizer {

/// Squares of a gradient, summed by chunk of 64 Ki elements of every parameter of the whole model
/// (each global expert), in name and chunk order, so that the global norm has the same bits in every
/// layout (docs/architecture.md, "Layout invariance", rule 8). Each worker fills the chunks of its slice;
/// the others stay zero, and an exact sum over workers completes the list.
class ChunkSums {
 public:
  /// global: every parameter of the model, all experts.
  explicit ChunkSums(const ParameterTable& global);

  [[nodiscard]] std::int64_t chunks() const { return first_chunk_.back(); }

  /// Writes the sums of the chunks of a slice to `sums` ([chunks()]).
  ///   local: the table that the slice's buffer is laid out by; [slice_begin, slice_end): offsets
  ///   in that buffer, at chunk borders; gradient: the slice's elements
  void fill(const Execution& execution, const ParameterTable& local, std::int64_t slice_begin,
            std::int64_t slice_end, std::span<const float> gradient, std::span<double> sums) const;

  /// √(Σ sums), added in order.
  [[nodiscard]] static double norm(std::span<const double> sums);

 private:
  const ParameterTable& global_;
  std::vector<std::int64_t> first_chunk_;  // [parameters + 1]
};

}  // namespace troupe::optimizer
