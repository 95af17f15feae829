#include "optimizer/chunk_sums.h"

#include <algorithm>
#include <cmath>

#include "base/index.h"
#include "layout/layout.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/parallel.h"

namespace troupe::optimizer {

using layout::kChunkElements;

ChunkSums::ChunkSums(const ParameterTable& global) : global_(global), first_chunk_{0} {
  for (const auto& spec : global.specs()) {
    first_chunk_.push_back(first_chunk_.back() + (spec.elements() + kChunkElements - 1) / kChunkElements);
  }
}

void ChunkSums::fill(const Execution& execution, const ParameterTable& local, std::int64_t slice_begin,
                     std::int64_t slice_end, std::span<const float> gradient, std::span<double> sums) const {
  const auto specs = local.specs();
  parallel_for(execution, std::ssize(specs), [&](std::int64_t i) {
    const auto index = at(i);
    const std::int64_t begin = local.offset(index);
    const std::int64_t end = begin + specs[index].elements();
    if (end <= slice_begin || begin >= slice_end) return;
    const std::int64_t first = first_chunk_[global_.find(specs[index].name, specs[index].expert)];
    for (std::int64_t element = std::max(begin, slice_begin); element < std::min(end, slice_end);
         element += kChunkElements) {
      const std::int64_t length = std::min(kChunkElements, end - element);
      const auto chunk = part(gradient, element - slice_begin, length);
      sums[at(first + (element - begin) / kChunkElements)] = ops::sum_of_squares(chunk);
    }
  });
}

double ChunkSums::norm(std::span<const double> sums) {
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

}  // namespace troupe::optimizer
