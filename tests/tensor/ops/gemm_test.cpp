#include "tensor/ops/gemm/gemm.h"

#include <tuple>

#include "tensor/ops/gemm/gemm_ref.h"
#include "tensor/parallel.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::StridedMatrix;

struct Case {
  std::int64_t m, n, k;
};

StridedMatrix operand(Transpose transpose, std::int64_t rows, std::int64_t columns, std::uint32_t stream) {
  return transpose == Transpose::kYes ? StridedMatrix::random(columns, rows, stream)
                                      : StridedMatrix::random(rows, columns, stream);
}

class GemmTest : public ::testing::TestWithParam<std::tuple<Transpose, Transpose, Accumulate, Case>> {};

TEST_P(GemmTest, AgreesWithTheReferenceOnStridedRows) {
  const auto [transpose_a, transpose_b, accumulate, size] = GetParam();
  const auto a = operand(transpose_a, size.m, size.k, 1);
  const auto b = operand(transpose_b, size.k, size.n, 2);
  auto c = StridedMatrix::random(size.m, size.n, 3);
  auto expected = c.copy();
  gemm(Execution{1}, transpose_a, transpose_b, a.view(), b.view(), c.view(), accumulate);
  reference::gemm<float>(transpose_a, transpose_b, a.matrix(), b.matrix(), expected.matrix(), accumulate);
  testing::expect_near(c, expected, 2e-5F * static_cast<float>(size.k + 1));
}

INSTANTIATE_TEST_SUITE_P(Shapes, GemmTest,
                         ::testing::Combine(::testing::Values(Transpose::kNo, Transpose::kYes),
                                            ::testing::Values(Transpose::kNo, Transpose::kYes),
                                            ::testing::Values(Accumulate::kNo, Accumulate::kYes),
                                            ::testing::Values(Case{1, 1, 1}, Case{7, 5, 3}, Case{33, 65, 17},
                                                              Case{1, 40, 9}, Case{40, 1, 9},
                                                              Case{12, 50, 31}, Case{128, 97, 70},
                                                              Case{81, 49, 33}, Case{12, 50, 131},
                                                              Case{33, 99, 300}, Case{70, 1030, 530})));

// Larger than the limit under which a product stays whole, and no multiple of a tile.
constexpr Case kManyTiles{530, 1050, 70};

TEST(Gemm, TilesJoinSeamlessly) {
  for (const Transpose transpose : {Transpose::kNo, Transpose::kYes}) {
    const auto a = operand(transpose, kManyTiles.m, kManyTiles.k, 1);
    const auto b = operand(transpose, kManyTiles.k, kManyTiles.n, 2);
    StridedMatrix c(kManyTiles.m, kManyTiles.n);
    StridedMatrix expected(kManyTiles.m, kManyTiles.n);
    gemm(Execution{1}, transpose, transpose, a.view(), b.view(), c.view());
    reference::gemm<float>(transpose, transpose, a.matrix(), b.matrix(), expected.matrix(), Accumulate::kNo);
    testing::expect_near(c, expected, 1e-4F);
  }
}

TEST(Gemm, GivesTheSameBitsForEveryNumberOfThreads) {
  const auto a = StridedMatrix::random(kManyTiles.m, kManyTiles.k, 1);
  const auto b = StridedMatrix::random(kManyTiles.n, kManyTiles.k, 2);
  StridedMatrix once(kManyTiles.m, kManyTiles.n);
  gemm(Execution{1}, Transpose::kNo, Transpose::kYes, a.view(), b.view(), once.view());
  for (const int threads : {2, 3}) {
    StridedMatrix c(kManyTiles.m, kManyTiles.n);
    gemm(Execution{threads}, Transpose::kNo, Transpose::kYes, a.view(), b.view(), c.view());
    EXPECT_TRUE(c.same_bits(once)) << threads << " threads";
  }
}

TEST(Gemm, GivesTheSameBitsForEveryNumberOfThreadsWithFewRows) {
  const auto a = StridedMatrix::random(40, 900, 1);
  const auto b = StridedMatrix::random(1100, 900, 2);
  StridedMatrix once(40, 1100);
  gemm(Execution{1}, Transpose::kNo, Transpose::kYes, a.view(), b.view(), once.view());
  StridedMatrix c(40, 1100);
  gemm(Execution{2}, Transpose::kNo, Transpose::kYes, a.view(), b.view(), c.view());
  EXPECT_TRUE(c.same_bits(once));
}

TEST(Gemm, DoesNotDependOnStridesAndAlignment) {
  for (const Transpose transpose : {Transpose::kNo, Transpose::kYes}) {
    const auto run = [&](std::int64_t gap) {
      const auto a = StridedMatrix::random(37, 61, 1, gap);
      const auto b = StridedMatrix::random(61, 61, 2, gap);
      StridedMatrix c(37, 61, gap);
      gemm(Execution{1}, Transpose::kNo, transpose, a.view(), b.view(), c.view());
      std::vector<float> values;
      for (std::int64_t i = 0; i < 37; ++i)
        values.insert(values.end(), c.matrix().row(i), c.matrix().row(i) + 61);
      return values;
    };
    const auto contiguous = run(0);
    EXPECT_EQ(run(1), contiguous);
    EXPECT_EQ(run(3), contiguous);
  }
}

TEST(Gemm, KeepsTheCallersNumberOfOpenMpThreads) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(3);
  const auto a = StridedMatrix::random(4, 4, 1);
  StridedMatrix c(4, 4);
  gemm(Execution{1}, Transpose::kNo, Transpose::kNo, a.view(), a.view(), c.view());
  EXPECT_EQ(omp_get_max_threads(), 3);
  omp_set_num_threads(before);
}

TEST(Gemm, WithoutInnerDimensionGivesZeroOrLeavesTheSum) {
  const StridedMatrix a(3, 0);
  const StridedMatrix b(0, 4);
  auto c = StridedMatrix::random(3, 4, 1);
  const auto before = c.copy();
  gemm(Execution{1}, Transpose::kNo, Transpose::kNo, a.view(), b.view(), c.view(), Accumulate::kYes);
  EXPECT_TRUE(c.same_bits(before));
  gemm(Execution{1}, Transpose::kNo, Transpose::kNo, a.view(), b.view(), c.view());
  testing::expect_near(
      c,
      [] {
        StridedMatrix zero(3, 4);
        for (std::int64_t i = 0; i < 12; ++i) zero.at(i / 4, i % 4) = 0.0F;
        return zero;
      }(),
      0.0F);
}

TEST(Gemm, WithoutRowsOrColumnsDoesNothing) {
  const StridedMatrix a(0, 5);
  const StridedMatrix b(5, 4);
  StridedMatrix c(0, 4);
  gemm(Execution{2}, Transpose::kNo, Transpose::kNo, a.view(), b.view(), c.view());
  const StridedMatrix left(2, 5);
  const StridedMatrix right(5, 0);
  StridedMatrix empty(2, 0);
  gemm(Execution{2}, Transpose::kNo, Transpose::kNo, left.view(), right.view(), empty.view());
  EXPECT_TRUE(empty.gaps_untouched());
}

TEST(Gemm, NamesTheOperandThatDoesNotFit) {
  const StridedMatrix a(2, 5);
  const StridedMatrix b(4, 3);
  StridedMatrix c(2, 3);
  try {
    gemm(Execution{1}, Transpose::kNo, Transpose::kNo, a.view(), b.view(), c.view());
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("gemm: b is [4, 3], expected [5, 3]"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace troupe::ops
