#include "layers/declaration.h"

#include <gtest/gtest.h>

namespace troupe::layers {
namespace {

constexpr std::int64_t kLine = 64;  // bytes that a view is rounded up to

Declaration layer() {
  return Declaration({.prefix = "layers/02/",
                      .layer = 2,
                      .part = ParameterPart::kMixer,
                      .tokens = 10,
                      .start = {.std = 0.5}});
}

TEST(Declaration, PartsNameTheirParametersAndKeepTheLayer) {
  Declaration whole = layer();
  Declaration part = whole.part("router/", ParameterPart::kRouter);
  part.matrix("weight", ParameterRole::kRouter, 3, 4, 0.1);
  part.vector("linear_bias", ParameterRole::kRouterBias, 3, 0.0F);
  whole.add(std::move(part));
  ASSERT_EQ(whole.parameters().size(), 2U);
  const ParameterSpec& weight = whole.parameters()[0];
  EXPECT_EQ(weight.name, "layers/02/router/weight");
  EXPECT_EQ(weight.shape, (Shape{3, 4}));
  EXPECT_EQ(weight.layer, 2);
  EXPECT_EQ(weight.part, ParameterPart::kRouter);
  EXPECT_DOUBLE_EQ(weight.init_std, 0.05);
  EXPECT_DOUBLE_EQ(whole.parameters()[1].init_std, 0.0);
}

TEST(Declaration, WhatPartsKeepAddsUpAndTheyUseOneAfterTheOther) {
  Declaration whole = layer();
  whole.use_in_backward(16);
  for (const std::int64_t lines : {3, 5, 2}) {
    Declaration part = whole.part("", ParameterPart::kMixer);
    part.keep(16 * lines);
    part.use_in_backward(16 * lines);
    whole.add(std::move(part));
  }
  EXPECT_EQ(whole.kept_bytes(), 10 * kLine);
  EXPECT_EQ(whole.used_bytes(), (1 + 5) * kLine);
}

TEST(Declaration, UsesTheLargerOfForwardAndBackward) {
  Declaration whole = layer();
  whole.use_in_forward(16, 4);
  whole.use_in_backward(16, 3);
  EXPECT_EQ(whole.used_bytes(), 4 * kLine);
  whole.hold(false, 32);
  EXPECT_EQ(whole.used_bytes(), 6 * kLine);
  whole.hold(true, 32);
  EXPECT_EQ(whole.used_bytes(), 6 * kLine);
  EXPECT_EQ(whole.kept_bytes(), 2 * kLine);
}

TEST(Declaration, EveryViewIsRoundedUpAsTheArenaDoes) {
  Declaration whole = layer();
  whole.keep(1, 3);
  EXPECT_EQ(whole.kept_bytes(), 3 * kLine);
}

TEST(Declaration, TokensMeetAllParametersButALookUp) {
  Declaration whole = layer();
  whole.matrix("weight", ParameterRole::kEmbedding, 100, 4);
  EXPECT_EQ(whole.multiplied(), 0.0);
  whole.matrix("out_proj", ParameterRole::kOutput, 5, 4);
  whole.vector("out_bias", ParameterRole::kOutputBias, 5, 0.0F);
  EXPECT_EQ(whole.multiplied(), 25.0);
}

TEST(Declaration, ExpertsAreOneEachAndATokenMeetsTheChosenOnes) {
  Declaration whole = layer();
  Declaration one = whole.part("experts/", ParameterPart::kExperts);
  one.matrix("down_proj", ParameterRole::kOutput, 5, 4);
  whole.experts(one, 1, 3, 1.5);
  ASSERT_EQ(whole.parameters().size(), 3U);
  EXPECT_EQ(whole.parameters()[2].expert, 2);
  EXPECT_EQ(whole.parameters()[2].moe_layer, 1);
  EXPECT_EQ(whole.parameters()[2].global_shape(), (Shape{3, 5, 4}));
  EXPECT_EQ(whole.multiplied(), 30.0);
}

}  // namespace
}  // namespace troupe::layers
