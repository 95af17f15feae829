#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/execution.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace troupe::optimizer {

/// Squares of the gradient of the slice of a parameter buffer that this worker owns, summed by chunk of
/// 64 Ki elements of every parameter: the chunks, and so the sums' bits, are the same in every layout
/// (docs/architecture.md, "Layout invariance", rule 8). No allocation after construction.
class ChunkSums {
 public:
  /// [slice_begin, slice_end): offsets in a buffer laid out by `table`, at chunk borders.
  /// accelerator: where gradients are; null: on the host
  ChunkSums(const ParameterTable& table, std::int64_t slice_begin, std::int64_t slice_end,
            Accelerator* accelerator = nullptr);

  /// One sum of every chunk of the slice, until the next call. gradient: the slice's elements
  [[nodiscard]] std::span<const double> of(const Execution& execution, ConstTensorView gradient);

  [[nodiscard]] std::size_t chunks() const { return chunks_.size(); }
  /// Index in the table of the parameter that a chunk is of.
  [[nodiscard]] std::size_t parameter(std::size_t chunk) const { return chunks_[chunk].parameter; }

 private:
  struct Chunk {
    std::int64_t begin;  // in the slice
    std::int64_t length;
    std::size_t parameter;
  };

  void sum_on_device(Accelerator& accelerator, ConstTensorView gradient);

  std::vector<Chunk> chunks_;
  std::vector<double> sums_;  // [chunks]
  Tensor device_sums_;        // [chunks] f64, where gradients are on a device
};

}  // namespace troupe::optimizer
