#include <gtest/gtest.h>

#include "layers/feed_forward.h"
#include "layers/norm_layer.h"
#include "tests/reference/layer_fixture.h"

namespace troupe::layers {
namespace {

using reference::LayerTest;

TEST_F(LayerTest, Norm) {
  const NormLayer layer =
      NormLayer::in_folder(weights_.dense, reference::kPrefix + "ffn_norm/", options_.norm);
  const auto saved = layer.forward(pass(), view(x_));
  layer.backward(pass(), view(dy_), view(x_), saved, view(dx_));
  expect_gradients({"ffn_norm/weight"}, [&] { return oracle_.norm(parameter("ffn_norm/weight"), input_); });
}

TEST_F(LayerTest, NormAddsToTheGradientOfTheResidualPath) {
  const NormLayer layer =
      NormLayer::in_folder(weights_.dense, reference::kPrefix + "ffn_norm/", options_.norm);
  const auto saved = layer.forward(pass(), view(x_));
  layer.backward(pass(), view(dy_), view(x_), saved, view(dx_));
  std::vector<float> added(x_.size(), 3.0F);
  layer.backward(pass(), view(dy_), view(x_), saved, view(added));
  for (std::size_t i = 0; i < added.size(); ++i) EXPECT_NEAR(added[i], dx_[i] + 3.0F, 1e-5F);
}

TEST_F(LayerTest, DenseFfn) {
  const FeedForward layer(options_.ffn.form, weights_.dense, reference::kPrefix + "ffn/",
                          *options_.ffn.intermediate_size);
  const auto saved = layer.allocate(arena_, static_cast<std::int64_t>(batch_.size()));
  layer.expand(pass(), view(x_), saved);
  layer.contract(pass(), saved, view(y_));
  layer.backward_contract(pass(), view(dy_), saved);
  layer.backward_expand(pass(), view(dy_), view(x_), saved, view(dx_));
  expect_gradients({"ffn/gate_up_proj", "ffn/down_proj"},
                   [&] { return oracle_.ffn(parameters_, reference::kPrefix + "ffn/", -1, input_); });
}

}  // namespace
}  // namespace troupe::layers
