#include "tensor/ops/unit_rows/unit_rows.h"

#include <algorithm>
#include <cmath>

#include "base/index.h"
#include "tensor/ops/checks.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/ops/matrix.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

namespace troupe::ops {
namespace {

constexpr double kLeastLength = 1e-12;

/// In the order of the columns.
double dot(const float* a, const float* b, std::int64_t columns) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < columns; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

}  // namespace

void unit_row_factors(const Execution& execution, ConstTensorView w, TensorView factors) {
  const OpScope measured(execution, OpKind::kElementwise);
  check_matrix("unit_row_factors: w", w, w.rows(), w.columns());
  const Matrix<const float> rows = matrix(w);
  const std::span<float> out = reals("unit_row_factors: factors", factors, w.rows());
  parallel_for_blocks(execution, rows.rows, rows_of_a_task(rows.columns),
                      [&](std::int64_t begin, std::int64_t end) {
                        for (std::int64_t r = begin; r < end; ++r) {
                          const double squares = sum_of_squares({rows.row(r), at(rows.columns)});
                          out[at(r)] = static_cast<float>(1.0 / std::max(std::sqrt(squares), kLeastLength));
                        }
                      });
}

void scale_columns(const Execution& execution, ConstTensorView factors, TensorView x) {
  const OpScope measured(execution, OpKind::kElementwise);
  check_matrix("scale_columns: x", x, x.rows(), factors.elements());
  const Matrix<float> rows = matrix(x);
  const float* factor = reals("scale_columns: factors", factors, x.columns()).data();
  parallel_for_blocks(execution, rows.rows, rows_of_a_task(rows.columns),
                      [&](std::int64_t begin, std::int64_t end) {
                        for (std::int64_t t = begin; t < end; ++t) {
                          float* row = rows.row(t);
                          for (std::int64_t r = 0; r < rows.columns; ++r) row[r] *= factor[r];
                        }
                      });
}

void unit_rows_backward(const Execution& execution, ConstTensorView w, ConstTensorView factors,
                        TensorView gradient) {
  const OpScope measured(execution, OpKind::kElementwise);
  check_matrix("unit_rows_backward: gradient", gradient, w.rows(), w.columns());
  const Matrix<const float> rows = matrix(w);
  const Matrix<float> gradients = matrix(gradient);
  const float* factor = reals("unit_rows_backward: factors", factors, w.rows()).data();
  parallel_for_blocks(
      execution, rows.rows, rows_of_a_task(rows.columns), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
          const double squared = static_cast<double>(factor[r]) * factor[r];
          const auto along = static_cast<float>(squared * dot(rows.row(r), gradients.row(r), rows.columns));
          float* row = gradients.row(r);
          for (std::int64_t c = 0; c < rows.columns; ++c) row[c] -= along * rows.row(r)[c];
        }
      });
}

}  // namespace troupe::ops
