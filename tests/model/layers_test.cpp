// Layers of the block one by one: gradients against central differences of <dy, y>.
#include <gtest/gtest.h>

#include "layers/feed_forward.h"
#include "layers/norm_layer.h"
#include "model/attention_layer.h"
#include "tests/reference/fixtures.h"

namespace troupe::model {
namespace {

constexpr double kTolerance = 1e-4;
const std::string kPrefix = "layers/00/";

class LayerTest : public testing::Test {
 protected:
  LayerTest()
      : options_(reference::tiny_options()),
        weights_(options_, 0, 0),
        batch_(reference::random_batch(5, 2, 7)),
        x_(reference::random_values(1, batch_.size() * static_cast<std::size_t>(options_.hidden_size))),
        dy_(reference::random_values(2, x_.size())),
        y_(x_.size()),
        dx_(x_.size(), 0.0F),
        gradient_(weights_.dense_values.size(), 0.0F),
        arena_(1 << 24),
        model_(options_, reference::kVocab),
        parameters_(weights_.parameters()),
        input_(x_.begin(), x_.end()) {}

  [[nodiscard]] Pass pass() { return {{1}, arena_, weights_.dense_values, {}, gradient_, {}, {}}; }
  [[nodiscard]] ConstTensorView view(const std::vector<float>& values) const {
    return {values.data(), Shape{static_cast<std::int64_t>(batch_.size()), options_.hidden_size}};
  }
  [[nodiscard]] TensorView view(std::vector<float>& values) const {
    return {values.data(), Shape{static_cast<std::int64_t>(batch_.size()), options_.hidden_size}};
  }

  /// forward: the reference's, of input_ and parameters_.
  void expect_gradients(const std::vector<std::string>& names,
                        const std::function<reference::Values()>& forward) {
    const auto loss = [&] {
      const reference::Values y = forward();
      double sum = 0.0;
      for (std::size_t i = 0; i < y.size(); ++i) sum += dy_[i] * y[i];
      return sum;
    };
    EXPECT_LE(reference::gradient_error(dx_, input_, loss), kTolerance) << "input";
    for (const auto& name : names) {
      const auto analytic = reference::tensor(weights_.dense, gradient_, weights_.dense.find(kPrefix + name));
      EXPECT_LE(reference::gradient_error(analytic, parameters_.at({kPrefix + name, -1}), loss), kTolerance)
          << name;
    }
  }
  [[nodiscard]] const reference::Values& parameter(const std::string& name) const {
    return parameters_.at({kPrefix + name, -1});
  }

  ModelOptions options_;
  reference::Weights weights_;
  reference::Batch batch_;
  std::vector<float> x_, dy_, y_, dx_, gradient_;
  Arena arena_;
  reference::Model model_;
  reference::Parameters parameters_;
  reference::Values input_;
};

TEST_F(LayerTest, Norm) {
  const layers::NormLayer layer(weights_.dense, kPrefix + "ffn_norm/weight", options_.norm.eps);
  const auto saved = layer.forward(pass(), view(x_));
  layer.backward(pass(), view(dy_), view(x_), saved, view(dx_));
  expect_gradients({"ffn_norm/weight"}, [&] { return model_.norm(parameter("ffn_norm/weight"), input_); });
}

TEST_F(LayerTest, NormAddsToTheGradientOfTheResidualPath) {
  const layers::NormLayer layer(weights_.dense, kPrefix + "ffn_norm/weight", options_.norm.eps);
  const auto saved = layer.forward(pass(), view(x_));
  layer.backward(pass(), view(dy_), view(x_), saved, view(dx_));
  std::vector<float> added(x_.size(), 3.0F);
  layer.backward(pass(), view(dy_), view(x_), saved, view(added));
  for (std::size_t i = 0; i < added.size(); ++i) EXPECT_NEAR(added[i], dx_[i] + 3.0F, 1e-5F);
}

TEST_F(LayerTest, Attention) {
  const ops::RopeTable rope(batch_.length, options_.attention.head_dim, options_.attention.rope.theta);
  const AttentionLayer layer(options_, batch_.length, rope, weights_.dense, kPrefix + "attention/");
  const MicrobatchInput input = reference::as_input(batch_);
  const TokenPlaces places{input.positions, input.first_visible};
  AttentionLayer::Saved saved;
  layer.forward(pass(), view(x_), places, saved, view(y_));
  layer.backward(pass(), view(dy_), view(x_), places, saved, view(dx_));
  expect_gradients({"attention/qkv_proj", "attention/out_proj", "attention/q_norm", "attention/k_norm"},
                   [&] { return model_.attention(parameters_, kPrefix, batch_, input_); });
}

TEST_F(LayerTest, DenseFfn) {
  const layers::FeedForward layer(options_.ffn.form, weights_.dense, kPrefix + "ffn/",
                                  options_.ffn.intermediate_size);
  const auto saved = layer.allocate(arena_, static_cast<std::int64_t>(batch_.size()));
  layer.expand(pass(), view(x_), saved);
  layer.contract(pass(), saved, view(y_));
  layer.backward_contract(pass(), view(dy_), saved);
  layer.backward_expand(pass(), view(dy_), view(x_), saved, view(dx_));
  expect_gradients({"ffn/gate_up_proj", "ffn/down_proj"},
                   [&] { return model_.ffn(parameters_, kPrefix + "ffn/", -1, input_); });
}

}  // namespace
}  // namespace troupe::model
