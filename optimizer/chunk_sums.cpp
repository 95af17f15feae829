#include "optimizer/chunk_sums.h"

#include <algorithm>

#include "base/index.h"
#include "layout/layout.h"
#include "tensor/ops/device_ops.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/parallel.h"
#include "tensor/transfer.h"

namespace troupe::optimizer {

using layout::kChunkElements;

ChunkSums::ChunkSums(const ParameterTable& table, std::int64_t slice_begin, std::int64_t slice_end,
                     Accelerator* accelerator) {
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    const std::int64_t end = std::min(slice_end, table.offset(i) + table.specs()[i].elements());
    for (std::int64_t element = std::max(slice_begin, table.offset(i)); element < end;
         element += kChunkElements) {
      chunks_.push_back({element - slice_begin, std::min(kChunkElements, end - element), i});
    }
  }
  sums_.resize(chunks_.size());
  if (accelerator != nullptr) device_sums_ = Tensor({std::ssize(sums_)}, DType::kF64, accelerator);
}

std::span<const double> ChunkSums::of(const Execution& execution, ConstTensorView gradient) {
  if (execution.accelerator != nullptr) {
    sum_on_device(*execution.accelerator, gradient);
    return sums_;
  }
  const std::span<const float> elements = gradient.floats();
  parallel_for(execution, std::ssize(chunks_), [&](std::int64_t i) {
    const Chunk& chunk = chunks_[at(i)];
    sums_[at(i)] = ops::sum_of_squares(part(elements, chunk.begin, chunk.length));
  });
  return sums_;
}

/// All chunks of a parameter at once: only its last may be shorter.
void ChunkSums::sum_on_device(Accelerator& accelerator, ConstTensorView gradient) {
  const auto count = std::ssize(chunks_);
  for (std::int64_t first = 0, last = 0; first < count; first = last) {
    std::int64_t elements = 0;
    for (; last < count && chunks_[at(last)].parameter == chunks_[at(first)].parameter; ++last)
      elements += chunks_[at(last)].length;
    accelerator.ops().sums_of_squares(gradient.rows(chunks_[at(first)].begin, elements),
                                      device_sums_.view().rows(first, last - first));
  }
  transfer(&accelerator, device_sums_, sums_);
}

}  // namespace troupe::optimizer
