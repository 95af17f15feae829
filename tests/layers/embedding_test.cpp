#include "layers/embedding.h"

#include <gtest/gtest.h>

namespace troupe::layers {
namespace {

constexpr std::int64_t kVocab = 4, kHidden = 2;

class EmbeddingTest : public testing::Test {
 protected:
  static ParameterTable make_table() {
    Declaration declaration({.prefix = "embedding/"});
    Embedding::declare(declaration, kVocab, kHidden, 0);
    return ParameterTable(declaration.parameters());
  }

  ParameterTable table_ = make_table();
  Embedding embedding_{table_, "embedding/", 1.0, 0};
  Arena arena_{1 << 12};
  std::vector<float> values_{0, 1, 10, 11, 20, 21, 30, 31};
  std::vector<float> gradient_ = std::vector<float>(values_.size(), 5.0F);
  Pass pass_{.execution = {1}, .arena = arena_, .dense = values_, .dense_gradient = gradient_};
  std::vector<std::int32_t> ids_{3, 1, 3};
  std::vector<float> rows_{1, 2, 3, 4, 5, 6};
  ConstTensorView tokens_{ids_.data(), Shape{3}};
  TensorView stream_{rows_.data(), Shape{3, kHidden}};
};

TEST_F(EmbeddingTest, LooksRowsUp) {
  embedding_.forward(pass_, tokens_, {}, stream_);
  EXPECT_EQ(rows_, (std::vector<float>{30, 31, 10, 11, 30, 31}));
}

TEST_F(EmbeddingTest, GradientOverwritesOrIsAddedToATiedHeads) {
  embedding_.backward(pass_, tokens_, {}, stream_, ops::Accumulate::kYes);
  EXPECT_EQ(gradient_, (std::vector<float>{5, 5, 8, 9, 5, 5, 11, 13}));
  embedding_.backward(pass_, tokens_, {}, stream_, ops::Accumulate::kNo);
  EXPECT_EQ(gradient_, (std::vector<float>{0, 0, 3, 4, 0, 0, 6, 8}));
}

}  // namespace
}  // namespace troupe::layers
