#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// y += x.  x, y: [count]
void add(Stream stream, const float* x, float* y, std::int64_t count);
/// out = a + b; out may be a or b.
void sum(Stream stream, const float* a, const float* b, float* out, std::int64_t count);
/// y = 0.
void zero(Stream stream, float* y, std::int64_t count);
/// y = factor * x + shift, in one rounding; y may be x.
void affine(Stream stream, const float* x, float factor, float shift, float* y, std::int64_t count);
/// x[t] *= factors[t].  factors: [rows]
void scale_rows(Stream stream, const float* factors, Matrix<float> x);
/// 1 + strength ln(1 + floor((position + 1) / length)).  positions, factors: [count]
void temperatures(Stream stream, const std::int32_t* positions, double strength, std::int64_t length,
                  float* factors, std::int64_t count);

/// x becomes cap * tanh(factor * x / cap).  x: [count]. Reference: tensor/ops/softcap/softcap_ref.h
void softcap(Stream stream, double factor, double cap, float* x, std::int64_t count);
/// dx = dy * factor * (1 - (y / cap)²), y what softcap() made; dx may be dy.
void softcap_backward(Stream stream, const float* dy, const float* y, double factor, double cap, float* dx,
                      std::int64_t count);

/// total = ((0 + lane[0]) + lane[1]) + …, element by element (docs/architecture.md, "Layout invariance").
///   lanes: [lane_count] pointers in device memory, each to [count]; total: [count]
void add_lanes(Stream stream, const float* const* lanes, std::int64_t lane_count, std::int64_t count,
               float* total);

/// Elements of one sum of squares: as layout::kChunkElements.
inline constexpr std::int64_t kSquaresChunk = 64 << 10;

/// sums[c] = Σ x² of chunk c, in fp64, in an order that depends on the chunk's length only. Reference:
/// ops::sum_of_squares to 1e-12.  x: [count]; sums: [ceil(count / kSquaresChunk)]
void sums_of_squares(Stream stream, const float* x, std::int64_t count, double* sums);

/// total[0] = Σ x, in fp64, chunks of kSquaresChunk in order.  x: [count]; partial: [ceil(count /
/// kSquaresChunk)]
void sum_f64(Stream stream, const double* x, std::int64_t count, double* partial, double* total);

}  // namespace troupe::cuda
