#include "tensor/ops/unit_rows/unit_rows.h"

#include "tensor/ops/gemm/gemm.h"
#include "tensor/ops/unit_rows/unit_rows_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::StridedMatrix;

constexpr std::int64_t kTokens = 7;
constexpr std::int64_t kRows = 13;
constexpr std::int64_t kColumns = 19;

struct Products {
  StridedMatrix z = StridedMatrix(kTokens, kRows);
  StridedMatrix dw = StridedMatrix(kRows, kColumns);
};

/// z = x ŵᵀ and, with dz, the gradient of w.
Products computed(int threads, const StridedMatrix& x, const StridedMatrix& w, const StridedMatrix& dz) {
  const Execution execution{threads};
  Products made;
  Tensor factors(Shape{kRows});
  unit_row_factors(execution, w.view(), factors);
  gemm(execution, Transpose::kNo, Transpose::kYes, x.view(), w.view(), made.z.view());
  scale_columns(execution, factors, made.z.view());
  StridedMatrix scaled = dz.copy();
  scale_columns(execution, factors, scaled.view());
  gemm(execution, Transpose::kYes, Transpose::kNo, scaled.view(), x.view(), made.dw.view());
  unit_rows_backward(execution, w.view(), factors, made.dw.view());
  return made;
}

TEST(UnitRows, ProductsAndGradientsAreThoseOfTheDividedMatrix) {
  const auto x = StridedMatrix::random(kTokens, kColumns, 1);
  const auto w = StridedMatrix::random(kRows, kColumns, 2);
  const auto dz = StridedMatrix::random(kTokens, kRows, 3);
  const Products made = computed(1, x, w, dz);
  StridedMatrix expected(kTokens, kRows);
  reference::unit_row_products<float>(x.matrix(), w.matrix(), expected.matrix());
  testing::expect_near(made.z, expected, 1e-5F);

  std::vector<double> wide_x, wide_w, wide_dz;
  const auto widen = [](const StridedMatrix& narrow, std::vector<double>& wide) {
    const auto values = narrow.matrix();
    for (std::int64_t r = 0; r < values.rows; ++r)
      for (std::int64_t c = 0; c < values.columns; ++c) wide.push_back(static_cast<double>(values(r, c)));
  };
  widen(x, wide_x);
  widen(w, wide_w);
  widen(dz, wide_dz);
  std::vector<double> z(wide_dz.size());
  const auto loss = [&] {
    reference::unit_row_products<double>(testing::matrix_of(wide_x, kColumns),
                                         testing::matrix_of(wide_w, kColumns), testing::matrix_of(z, kRows));
    return testing::dot(z, wide_dz);
  };
  constexpr double kStep = 1e-5;
  for (std::size_t i = 0; i < wide_w.size(); ++i) {
    const double kept = wide_w[i];
    wide_w[i] = kept + kStep;
    const double above = loss();
    wide_w[i] = kept - kStep;
    const double below = loss();
    wide_w[i] = kept;
    const auto place = static_cast<std::int64_t>(i);
    ASSERT_NEAR(made.dw.matrix()(place / kColumns, place % kColumns), (above - below) / (2 * kStep), 1e-4)
        << i;
  }
}

TEST(UnitRows, BitsDoNotDependOnThreads) {
  const auto x = StridedMatrix::random(kTokens, kColumns, 1);
  const auto w = StridedMatrix::random(kRows, kColumns, 2);
  const auto dz = StridedMatrix::random(kTokens, kRows, 3);
  const Products one = computed(1, x, w, dz);
  const Products three = computed(3, x, w, dz);
  EXPECT_TRUE(one.z.same_bits(three.z));
  EXPECT_TRUE(one.dw.same_bits(three.dw));
}

}  // namespace
}  // namespace troupe::ops
