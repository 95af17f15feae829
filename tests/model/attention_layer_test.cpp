#include "model/attention_layer.h"

#include <gtest/gtest.h>

#include "tests/reference/layer_fixture.h"

namespace troupe::model {
namespace {

using reference::LayerTest;

TEST_F(LayerTest, Attention) {
  RopeTables rope(batch_.length);
  const KeySpans spans(layer_specs(options_));
  const AttentionLayer layer(layer_spec(options_, 0), {batch_.length, rope, spans, weights_.dense});
  AttentionLayer::Saved saved;
  layer.forward(pass(), view(x_), saved, view(y_));
  layer.backward(pass(), view(dy_), view(x_), saved, view(dx_));
  expect_gradients({"attention/qkv_proj", "attention/out_proj", "attention/q_norm", "attention/k_norm"},
                   [&] { return oracle_.attention(parameters_, reference::kPrefix, batch_, input_); });
}

}  // namespace
}  // namespace troupe::model
