#include "optimizer/chunk_sums.h"

#include <algorithm>

#include "base/index.h"
#include "layout/layout.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/parallel.h"

namespace troupe::optimizer {

using layout::kChunkElements;

ChunkSums::ChunkSums(const ParameterTable& table, std::int64_t slice_begin, std::int64_t slice_end) {
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    const std::int64_t end = std::min(slice_end, table.offset(i) + table.specs()[i].elements());
    for (std::int64_t element = std::max(slice_begin, table.offset(i)); element < end;
         element += kChunkElements) {
      chunks_.push_back({element - slice_begin, std::min(kChunkElements, end - element), i});
    }
  }
  sums_.resize(chunks_.size());
}

std::span<const double> ChunkSums::of(const Execution& execution, std::span<const float> gradient) {
  parallel_for(execution, std::ssize(chunks_), [&](std::int64_t i) {
    const Chunk& chunk = chunks_[at(i)];
    sums_[at(i)] = ops::sum_of_squares(part(gradient, chunk.begin, chunk.length));
  });
  return sums_;
}

}  // namespace troupe::optimizer
