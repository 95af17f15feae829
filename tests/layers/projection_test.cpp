#include "layers/projection.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/reference/fixtures.h"

namespace troupe::layers {
namespace {

constexpr std::int64_t kRows = 7, kIn = 5, kOut = 9;
constexpr std::int64_t kFirst = 2, kCount = 4;  // outputs of the part
constexpr Execution kExecution{1};

class ProjectionTest : public testing::Test {
 protected:
  static ParameterTable make_table() {
    Declaration declaration({.prefix = "a/"});
    Projection::declare(declaration, "down", Projection::Side::kOutput, kOut, kIn, true);
    return ParameterTable(declaration.parameters());
  }
  static TensorView matrix(std::vector<float>& values, std::int64_t columns) {
    return {values.data(), Shape{std::ssize(values) / columns, columns}};
  }

  ParameterTable table_ = make_table();
  std::vector<float> weights_ =
      reference::random_values(1, static_cast<std::size_t>(table_.buffer_elements()));
  std::vector<float> gradient_ = std::vector<float>(weights_.size(), 0.0F);
  std::vector<float> part_gradient_ = gradient_;
  std::vector<float> x_ = reference::random_values(2, kRows* kIn);
  std::vector<float> dy_ = reference::random_values(3, kRows* kOut);
  Projection whole_{table_, "a/down", true};
  Projection part_ = whole_.outputs(kFirst, kCount);
};

TEST_F(ProjectionTest, SomeOutputsAreThoseOfTheWhole) {
  std::vector<float> all(kRows * kOut);
  std::vector<float> some(kRows * kCount);
  whole_.forward(kExecution, weights_, matrix(x_, kIn), matrix(all, kOut));
  part_.forward(kExecution, weights_, matrix(x_, kIn), matrix(some, kCount));
  EXPECT_EQ(whole_.width(), kOut);
  EXPECT_EQ(part_.width(), kCount);
  for (std::int64_t r = 0; r < kRows; ++r) {
    for (std::int64_t i = 0; i < kCount; ++i)
      EXPECT_EQ(matrix(some, kCount).f32()[r * kCount + i], matrix(all, kOut).f32()[r * kOut + kFirst + i]);
  }
}

TEST_F(ProjectionTest, TheirGradientsAreRowsOfTheWholes) {
  whole_.weight_gradients(kExecution, matrix(dy_, kOut), matrix(x_, kIn), gradient_);
  part_.weight_gradients(kExecution, matrix(dy_, kOut).columns(kFirst, kCount), matrix(x_, kIn),
                         part_gradient_);
  for (std::size_t p = 0; p < table_.specs().size(); ++p) {
    const TensorView all = table_.view(std::span(gradient_), p);
    const TensorView some = table_.view(std::span(part_gradient_), p);
    const std::int64_t width = all.elements() / kOut;
    for (std::int64_t i = 0; i < all.elements(); ++i) {
      const bool inside = i / width >= kFirst && i / width < kFirst + kCount;
      EXPECT_EQ(some.f32()[i], inside ? all.f32()[i] : 0.0F) << table_.specs()[p].name << " " << i;
    }
  }
}

TEST_F(ProjectionTest, InputGradientsOfPartsAddUp) {
  std::vector<float> expected(kRows * kIn);
  std::vector<float> sum(kRows * kIn);
  whole_.backward(kExecution, weights_, matrix(dy_, kOut), matrix(expected, kIn));
  const TensorView dy = matrix(dy_, kOut);
  whole_.outputs(0, kFirst).backward(kExecution, weights_, dy.columns(0, kFirst), matrix(sum, kIn));
  for (const auto& [first, count] :
       {std::pair(kFirst, kCount), std::pair(kFirst + kCount, kOut - kFirst - kCount)}) {
    whole_.outputs(first, count)
        .backward(kExecution, weights_, dy.columns(first, count), matrix(sum, kIn), ops::Accumulate::kYes);
  }
  for (std::size_t i = 0; i < sum.size(); ++i) EXPECT_NEAR(sum[i], expected[i], 1e-5F);
}

}  // namespace
}  // namespace troupe::layers
