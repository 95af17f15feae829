#include "tensor/ops/gemm/gemm.h"

#include <dnnl.h>

#include <algorithm>

#include "tensor/ops/checks.h"
#include "tensor/ops/device_ops.h"
#include "tensor/ops/gemm/narrow_gemm.h"
#include "tensor/parallel.h"
#include "tensor/pieces.h"
#include "tensor/profile.h"

namespace troupe::ops {
namespace {

// Chosen by measurement: the largest tiles that still leave several for each thread.
constexpr std::int64_t kTileRows = 256;
constexpr std::int64_t kTileColumns = 512;
// Multiplications of a product that is not worth cutting.
constexpr std::int64_t kSmallProduct = std::int64_t{1} << 25;

/// The library must not use threads of its own: its bits depend on their number.
class OneLibraryThread {
 public:
  OneLibraryThread() : previous_(omp_get_max_threads()) {
    if (previous_ != 1) omp_set_num_threads(1);
  }
  ~OneLibraryThread() {
    if (previous_ != 1) omp_set_num_threads(previous_);
  }
  OneLibraryThread(const OneLibraryThread&) = delete;
  OneLibraryThread& operator=(const OneLibraryThread&) = delete;

 private:
  int previous_;
};

/// One factor of a product as the library wants it.
struct Factor {
  const float* data;
  std::int64_t stride;
  bool transposed;

  Factor(const ConstTensorView& view, Transpose transpose)
      : data(view.f32()),
        stride(std::max({view.row_stride(), view.columns(), std::int64_t{1}})),
        transposed(transpose == Transpose::kYes) {}

  /// Where row `row` and column `column` of op(view) is.
  [[nodiscard]] const float* at(std::int64_t row, std::int64_t column) const {
    return transposed ? data + column * stride + row : data + row * stride + column;
  }
  [[nodiscard]] char flag() const { return transposed ? 'T' : 'N'; }
};

struct Product {
  Factor a;
  Factor b;
  float* c;
  std::int64_t c_stride;
  std::int64_t m, n, k;
  float beta;

  void compute(std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) const {
    const OneLibraryThread guard;
    const dnnl_status_t status =
        dnnl_sgemm(a.flag(), b.flag(), rows, columns, k, 1.0F, a.at(row, 0), a.stride, b.at(0, column),
                   b.stride, beta, c + row * c_stride + column, c_stride);
    TROUPE_CHECK(status == dnnl_success, "dnnl_sgemm failed with status {} for [{}, {}, {}]",
                 static_cast<int>(status), rows, columns, k);
  }
};

void compute_tiles(const Execution& execution, const Product& product) {
  const Pieces rows(product.m, kTileRows);
  const Pieces columns(product.n, kTileColumns);
  parallel_for(execution, rows.count() * columns.count(), [&](std::int64_t tile) {
    const std::int64_t row = tile % rows.count();
    const std::int64_t column = tile / rows.count();
    product.compute(rows.first(row), rows.length(row), columns.first(column), columns.length(column));
  });
}

void compute_narrow(const Execution& execution, Matrix<const float> a, Matrix<const float> b,
                    Matrix<float> c) {
  parallel_for_blocks(execution, b.rows, kTileColumns, [&](std::int64_t first, std::int64_t last) {
    narrow_gemm(a, {b.row(first), last - first, b.columns, b.stride},
                {c.data + first, c.rows, last - first, c.stride});
  });
}

void clear(const TensorView& c) {
  for (std::int64_t row = 0; row < c.rows(); ++row)
    std::fill_n(c.f32() + row * c.row_stride(), c.columns(), 0.0F);
}

}  // namespace

void gemm(const Execution& execution, Transpose transpose_a, Transpose transpose_b, ConstTensorView a,
          ConstTensorView b, TensorView c, Accumulate accumulate) {
  const std::int64_t m = c.rows();
  const std::int64_t n = c.columns();
  const std::int64_t k = transpose_a == Transpose::kYes ? a.rows() : a.columns();
  const double flop = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  if (DeviceOps* device = device_ops(execution)) {
    const OpScope measured(execution, OpKind::kGemm, flop);
    return device->gemm(transpose_a, transpose_b, a, b, c, accumulate);
  }
  check_matrix("gemm: a", a, transpose_a == Transpose::kYes ? k : m, transpose_a == Transpose::kYes ? m : k);
  check_matrix("gemm: b", b, transpose_b == Transpose::kYes ? n : k, transpose_b == Transpose::kYes ? k : n);
  if (m == 0 || n == 0) return;
  const OpScope measured(execution, OpKind::kGemm, flop);
  if (k == 0) {
    if (accumulate == Accumulate::kNo) clear(c);
    return;
  }
  const bool small = m * n * k <= kSmallProduct;
  const bool narrow = transpose_a == Transpose::kNo && transpose_b == Transpose::kYes &&
                      accumulate == Accumulate::kNo && suits_narrow_gemm(m, k);
  if (narrow) {
    compute_narrow(small ? Execution{1} : execution, matrix(a), matrix(b), matrix(c));
    return;
  }
  const Product product{Factor(a, transpose_a),
                        Factor(b, transpose_b),
                        c.f32(),
                        std::max(c.row_stride(), n),
                        m,
                        n,
                        k,
                        accumulate == Accumulate::kYes ? 1.0F : 0.0F};
  if (small) {
    product.compute(0, m, 0, n);
  } else {
    compute_tiles(execution, product);
  }
}

}  // namespace troupe::ops
