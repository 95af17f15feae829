#include "tensor/cuda/elementwise.h"

#include "tensor/cuda/math.h"
#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

/// A thread per element, in all of these.
__global__ void __launch_bounds__(kRowThreads) add_kernel(const float* x, float* y, std::int64_t count) {
  const std::int64_t i = global_thread();
  if (i < count) y[i] += x[i];
}

__global__ void __launch_bounds__(kRowThreads)
    sum_kernel(const float* a, const float* b, float* out, std::int64_t count) {
  const std::int64_t i = global_thread();
  if (i < count) out[i] = a[i] + b[i];
}

__global__ void __launch_bounds__(kRowThreads) zero_kernel(float* y, std::int64_t count) {
  const std::int64_t i = global_thread();
  if (i < count) y[i] = 0.0F;
}

__global__ void __launch_bounds__(kRowThreads)
    affine_kernel(const float* x, float factor, float shift, float* y, std::int64_t count) {
  const std::int64_t i = global_thread();
  if (i < count) y[i] = fmaf(x[i], factor, shift);
}

__global__ void __launch_bounds__(kRowThreads) scale_rows_kernel(const float* factors, Matrix<float> x) {
  const std::int64_t i = global_thread();
  if (i < x.rows * x.columns) x.row(i / x.columns)[i % x.columns] *= factors[i / x.columns];
}

__global__ void __launch_bounds__(kRowThreads)
    temperatures_kernel(const std::int32_t* positions, double strength, std::int64_t length, float* factors,
                        std::int64_t count) {
  const std::int64_t i = global_thread();
  if (i >= count) return;
  const std::int64_t lengths = (positions[i] + 1) / length;
  factors[i] = static_cast<float>(1.0 + strength * log_f64(static_cast<double>(1 + lengths)));
}

__global__ void __launch_bounds__(kRowThreads)
    softcap_kernel(float inner, float cap, float* x, std::int64_t count) {
  const std::int64_t i = global_thread();
  if (i < count) x[i] = cap * tanh_f32(inner * x[i]);
}

__global__ void __launch_bounds__(kRowThreads)
    softcap_gradient_kernel(const float* dy, const float* y, float factor, float cap, float* dx,
                            std::int64_t count) {
  const std::int64_t i = global_thread();
  if (i >= count) return;
  const float ratio = y[i] / cap;
  dx[i] = dy[i] * factor * fmaf(-ratio, ratio, 1.0F);
}

__global__ void __launch_bounds__(kRowThreads)
    add_lanes_kernel(const float* const* lanes, std::int64_t lane_count, std::int64_t count, float* total) {
  const std::int64_t i = global_thread();
  if (i >= count) return;
  float sum = 0.0F;
  for (std::int64_t lane = 0; lane < lane_count; ++lane) sum += lanes[lane][i];
  total[i] = sum;
}

/// A block per chunk; thread i adds the elements i, i + 256, … in order.
__global__ void __launch_bounds__(kRowThreads)
    squares_kernel(const float* x, std::int64_t count, double* sums) {
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * kSquaresChunk;
  const std::int64_t end = smaller(count, begin + kSquaresChunk);
  double part = 0.0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kRowThreads) {
    part += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  const double sum = block_sum(shared_memory<SumShared>(), part);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kRowThreads)
    sum_f64_kernel(const double* x, std::int64_t count, double* sums) {
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * kSquaresChunk;
  const std::int64_t end = smaller(count, begin + kSquaresChunk);
  double part = 0.0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kRowThreads) part += x[i];
  const double sum = block_sum(shared_memory<SumShared>(), part);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

/// One thread.
__global__ void add_in_order_kernel(const double* x, std::int64_t count, double* total) {
  if (threadIdx.x > 0) return;
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) sum += x[i];
  *total = sum;
}

}  // namespace

void add(Stream stream, const float* x, float* y, std::int64_t count) {
  launch(stream, grid_of_threads(count), kRowThreads, 0, "add", add_kernel, x, y, count);
}
void sum(Stream stream, const float* a, const float* b, float* out, std::int64_t count) {
  launch(stream, grid_of_threads(count), kRowThreads, 0, "sum", sum_kernel, a, b, out, count);
}
void zero(Stream stream, float* y, std::int64_t count) {
  launch(stream, grid_of_threads(count), kRowThreads, 0, "zero", zero_kernel, y, count);
}
void affine(Stream stream, const float* x, float factor, float shift, float* y, std::int64_t count) {
  launch(stream, grid_of_threads(count), kRowThreads, 0, "affine", affine_kernel, x, factor, shift, y, count);
}
void scale_rows(Stream stream, const float* factors, Matrix<float> x) {
  launch(stream, grid_of_threads(x.rows * x.columns), kRowThreads, 0, "scale_rows", scale_rows_kernel,
         factors, x);
}
void temperatures(Stream stream, const std::int32_t* positions, double strength, std::int64_t length,
                  float* factors, std::int64_t count) {
  launch(stream, grid_of_threads(count), kRowThreads, 0, "temperatures", temperatures_kernel, positions,
         strength, length, factors, count);
}
void softcap(Stream stream, double factor, double cap, float* x, std::int64_t count) {
  launch(stream, grid_of_threads(count), kRowThreads, 0, "softcap", softcap_kernel,
         static_cast<float>(factor / cap), static_cast<float>(cap), x, count);
}
void softcap_backward(Stream stream, const float* dy, const float* y, double factor, double cap, float* dx,
                      std::int64_t count) {
  launch(stream, grid_of_threads(count), kRowThreads, 0, "softcap_backward", softcap_gradient_kernel, dy, y,
         static_cast<float>(factor), static_cast<float>(cap), dx, count);
}
void add_lanes(Stream stream, const float* const* lanes, std::int64_t lane_count, std::int64_t count,
               float* total) {
  launch(stream, grid_of_threads(count), kRowThreads, 0, "add_lanes", add_lanes_kernel, lanes, lane_count,
         count, total);
}
void sums_of_squares(Stream stream, const float* x, std::int64_t count, double* sums) {
  launch(stream, grid_of(pieces_of(count, kSquaresChunk)), kRowThreads, sizeof(SumShared), "sums_of_squares",
         squares_kernel, x, count, sums);
}
void sum_f64(Stream stream, const double* x, std::int64_t count, double* partial, double* total) {
  const std::int64_t chunks = pieces_of(count, kSquaresChunk);
  launch(stream, grid_of(chunks), kRowThreads, sizeof(SumShared), "sum_f64", sum_f64_kernel, x, count,
         partial);
  launch(stream, grid_of(1), kWarp, 0, "add_in_order", add_in_order_kernel, partial, chunks, total);
}

}  // namespace troupe::cuda
