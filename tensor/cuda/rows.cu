#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

/// A thread per column.
__global__ void __launch_bounds__(kRowThreads)
    add_chunks_kernel(const float* partial, std::int64_t chunks, std::int64_t columns, bool accumulate,
                      float* total) {
  const std::int64_t column = global_thread();
  if (column >= columns) return;
  float sum = 0.0F;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * columns + column];
  total[column] = accumulate ? total[column] + sum : sum;
}

}  // namespace

void add_chunks(Stream stream, const float* partial, std::int64_t chunks, std::int64_t columns,
                bool accumulate, float* total) {
  launch(stream, grid_of_threads(columns), kRowThreads, 0, "add_chunks", add_chunks_kernel, partial, chunks,
         columns, accumulate, total);
}

}  // namespace troupe::cuda
