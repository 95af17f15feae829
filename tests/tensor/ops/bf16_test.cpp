#include "tensor/ops/bf16/bf16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tensor/ops/bf16/bf16_ref.h"

namespace troupe::ops {
namespace {

/// Every upper half with the lower halves around a tie.
std::vector<float> all_kinds() {
  std::vector<float> values;
  for (std::uint32_t high = 0; high < 0x10000U; ++high) {
    for (const std::uint32_t low : {0x0000U, 0x0001U, 0x7FFFU, 0x8000U, 0x8001U, 0xFFFFU})
      values.push_back(std::bit_cast<float>(high << 16U | low));
  }
  return values;
}

TEST(Bf16, RoundsToTheNearestAndAmongEqualsToTheEvenOne) {
  const std::vector<float> x = all_kinds();
  Tensor in(Shape{std::ssize(x)});
  std::ranges::copy(x, in.f32());
  Tensor half(in.shape(), DType::kBF16);
  Tensor out(in.shape());
  to_bf16(Execution{2}, in, half);
  from_bf16(Execution{2}, half, out);
  round_to_bf16(Execution{2}, in);
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(in.f32()[i]), std::bit_cast<std::uint32_t>(out.f32()[i]));
    if (std::isnan(x[i])) {
      EXPECT_TRUE(std::isnan(out.f32()[i]));
    } else {
      EXPECT_EQ(out.f32()[i], reference::nearest_bf16(x[i])) << x[i];
    }
  }
}

TEST(Bf16, RefusesViewsOfAnotherSize) {
  Tensor x(Shape{3});
  Tensor y(Shape{4}, DType::kBF16);
  EXPECT_THROW(to_bf16(Execution{1}, x, y), Error);
}

}  // namespace
}  // namespace troupe::ops
