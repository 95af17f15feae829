#include "tensor/parameter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace troupe {
namespace {

ParameterSpec expert_spec(std::int64_t expert, std::int64_t experts) {
  ParameterSpec spec;
  spec.name = "layers/00/experts/down_proj";
  spec.shape = Shape{3, 5};
  spec.kind = ParameterKind::kExpert;
  spec.expert = expert;
  spec.experts = experts;
  return spec;
}

ParameterSpec dense_spec(const std::string& name, const Shape& shape) {
  ParameterSpec spec;
  spec.name = name;
  spec.shape = shape;
  return spec;
}

TEST(ParameterTable, OrdersByNameThenExpertAndAlignsEach) {
  const ParameterTable table({expert_spec(10, 16), dense_spec("norm", Shape{7}), expert_spec(2, 16)});
  ASSERT_EQ(table.specs().size(), 3U);
  EXPECT_EQ(table.specs()[0].expert, 2);
  EXPECT_EQ(table.specs()[1].expert, 10);
  EXPECT_EQ(table.specs()[2].name, "norm");
  EXPECT_EQ(table.offset(0), 0);
  EXPECT_EQ(table.offset(1), 16);
  EXPECT_EQ(table.offset(2), 32);
  EXPECT_EQ(table.buffer_elements(), 48);
  EXPECT_EQ(table.elements(), 15 + 15 + 7);
}

TEST(ParameterTable, FindsByNameAndExpert) {
  const ParameterTable table({expert_spec(10, 16), dense_spec("norm", Shape{7}), expert_spec(2, 16)});
  EXPECT_EQ(table.find("layers/00/experts/down_proj", 10), 1U);
  EXPECT_EQ(table.find("norm"), 2U);
  EXPECT_THROW((void)table.find("layers/00/experts/down_proj", 3), Error);
  EXPECT_THROW((void)table.find("absent"), Error);
}

TEST(ParameterTable, ViewsPointIntoTheBuffer) {
  const ParameterTable table({dense_spec("a", Shape{3}), dense_spec("b", Shape{2, 2})});
  std::vector<float> buffer(static_cast<std::size_t>(table.buffer_elements()));
  const TensorView view = table.view(std::span(buffer), 1);
  EXPECT_EQ(view.f32(), buffer.data() + 16);
  EXPECT_EQ(view.shape(), (Shape{2, 2}));
}

TEST(ParameterSpec, OfAnExpertKnowsItsPlaceInTheStackedTensor) {
  const ParameterSpec spec = expert_spec(4, 16);
  EXPECT_EQ(spec.global_shape(), (Shape{16, 3, 5}));
  EXPECT_EQ(spec.global_begin(), 4 * 15);
  EXPECT_EQ(dense_spec("a", Shape{3}).global_begin(), 0);
}

std::vector<float> initial(const ParameterSpec& spec, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(spec.elements()));
  initialize(spec, seed, values);
  return values;
}

TEST(Initialize, GivesAnExpertTheSameValuesInEverySplit) {
  ParameterSpec stacked = dense_spec(expert_spec(0, 8).name, Shape{8, 3, 5});
  const auto whole = initial(stacked, 7);
  for (std::int64_t expert = 0; expert < 8; ++expert) {
    const auto part = initial(expert_spec(expert, 8), 7);
    EXPECT_TRUE(
        std::ranges::equal(part, std::span(whole).subspan(static_cast<std::size_t>(expert * 15), 15)));
  }
}

TEST(Initialize, DiffersBySeedNameAndExpert) {
  const auto base = initial(dense_spec("a", Shape{64}), 7);
  EXPECT_NE(initial(dense_spec("a", Shape{64}), 8), base);
  EXPECT_NE(initial(dense_spec("b", Shape{64}), 7), base);
  EXPECT_NE(initial(expert_spec(0, 8), 7), initial(expert_spec(1, 8), 7));
}

TEST(Initialize, DrawsATruncatedNormalOfTheAskedDeviation) {
  ParameterSpec spec = dense_spec("a", Shape{20'000});
  spec.init_std = 0.5;
  const auto values = initial(spec, 7);
  double squares = 0.0;
  for (const float value : values) {
    EXPECT_LT(std::abs(value), 1.5F) << "gathered at the border";
    squares += static_cast<double>(value) * value;
  }
  // Of a normal that is cut at three deviations: 0.9866 of the whole one's.
  EXPECT_NEAR(std::sqrt(squares / 20'000), 0.4933, 0.01);
}

TEST(Initialize, OfABufferByThreadsAndInPartsIsThatOfEachParameter) {
  ParameterSpec large = dense_spec("b", Shape{50'001});
  ParameterSpec constant = dense_spec("c", Shape{5});
  constant.init_std = 0.0;
  constant.init_constant = 1.0F;
  const ParameterTable table({expert_spec(3, 8), large, constant});
  const std::int64_t end = table.buffer_elements();
  std::vector<float> expected(static_cast<std::size_t>(end));
  for (std::size_t i = 0; i < table.specs().size(); ++i)
    initialize(table.specs()[i], 7, table.view(std::span(expected), i).floats());
  for (const std::int64_t border : {std::int64_t{0}, std::int64_t{4}, std::int64_t{30'000}, end}) {
    std::vector<float> values(expected.size());
    initialize(Execution{.threads = 3}, table, 7, 0, border, values);
    const auto after = static_cast<std::ptrdiff_t>(border);
    EXPECT_TRUE(std::all_of(values.begin() + after, values.end(), [](float value) { return value == 0.0F; }));
    initialize(Execution{.threads = 2}, table, 7, border, end, values);
    EXPECT_TRUE(values == expected) << border;
  }
}

TEST(Initialize, RowsOfOneMatrixMayHaveDeviationsOfTheirOwn) {
  ParameterSpec spec = dense_spec("a", Shape{6, 10});
  const auto alike = initial(spec, 7);
  spec.initial_rows = {{0, 1.0}, {2, 3.0}, {5, 0.5}};
  const auto values = initial(spec, 7);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float factor = i < 20 ? 1.0F : i < 50 ? 3.0F : 0.5F;
    EXPECT_FLOAT_EQ(values[i], factor * alike[i]) << i;
  }
  std::vector<float> middle(31);  // across a border
  initialize(spec, 7, middle, 15);
  EXPECT_TRUE(std::equal(middle.begin(), middle.end(), values.begin() + 15));
}

TEST(Initialize, WithoutDeviationIsConstant) {
  ParameterSpec spec = dense_spec("norm", Shape{5});
  spec.init_std = 0.0;
  spec.init_constant = 1.0F;
  EXPECT_EQ(initial(spec, 7), std::vector<float>(5, 1.0F));
}

}  // namespace
}  // namespace troupe
