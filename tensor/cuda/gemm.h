#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// c = op(a) op(b), or c += … . Reference: tensor/ops/gemm/gemm_ref.h.
///   op(a): [m, k], op(b): [k, n], c: [m, n], rows may be strided; k = 0 gives zero (or leaves c)
struct GemmArguments {
  bool transpose_a = false;
  bool transpose_b = false;
  bool accumulate = false;
  Matrix<const float> a;
  Matrix<const float> b;
  Matrix<float> c;
};
void gemm(Stream stream, const GemmArguments& arguments);

/// Some rows that go with one matrix of several.
struct Segment {
  std::int64_t first_row;
  std::int64_t rows;
  std::int64_t matrix;  // where its matrix starts, in elements
};

/// Segments of a microbatch, in device memory; in order of rows, without overlap.
struct Segments {
  const Segment* data = nullptr;
  std::int64_t count = 0;
  std::int64_t most_rows = 0;  // bound of their sum, known to the host
};

/// y[r] = x[r] Wᵀ (transpose_weight) or x[r] W, with the matrix of the row's segment. Rows of no segment
/// stay as they are. Reference: gemm_ref.h by segment.
///   x: [rows, k], y: [rows, n]; weights: [n, k] or [k, n] each, without gaps
void grouped_gemm(Stream stream, const Segments& segments, bool transpose_weight, Matrix<const float> x,
                  const float* weights, Matrix<float> y);

/// dW += dyᵀ x for every segment: the sum over its rows, from its first on, then one addition. A segment's
/// bits do not depend on where it lies. Reference: gemm_ref.h by segment.
///   dy: [rows, n], x: [rows, k]; gradients: [n, k] each, without gaps, no two segments share one
void grouped_gemm_weight_gradient(Stream stream, const Segments& segments, Matrix<const float> dy,
                                  Matrix<const float> x, float* gradients);

}  // namespace troupe::cuda
