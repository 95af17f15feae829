#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "layers/pass.h"
#include "tests/reference/fixtures.h"

namespace troupe::reference {

inline constexpr double kLayerTolerance = 1e-4;
inline const std::string kPrefix = "layers/00/";

/// Layers one by one: gradients against central differences of <dy, y>, through the oracle.
class LayerTest : public testing::Test {
 protected:
  LayerTest()
      : options_(tiny_options()),
        weights_(options_, 0, 0),
        batch_(random_batch(5, 2, 7)),
        x_(random_values(1, batch_.size() * static_cast<std::size_t>(options_.hidden_size))),
        dy_(random_values(2, x_.size())),
        y_(x_.size()),
        dx_(x_.size(), 0.0F),
        gradient_(weights_.dense_values.size(), 0.0F),
        arena_(1 << 24),
        oracle_(options_, kVocab),
        parameters_(weights_.parameters()),
        input_(x_.begin(), x_.end()) {}

  [[nodiscard]] Pass pass() {
    return {.execution = {1},
            .arena = arena_,
            .dense = weights_.dense_values,
            .dense_gradient = gradient_,
            .microbatch = as_input(batch_)};
  }
  [[nodiscard]] ConstTensorView view(const std::vector<float>& values) const {
    return {values.data(), Shape{static_cast<std::int64_t>(batch_.size()), options_.hidden_size}};
  }
  [[nodiscard]] TensorView view(std::vector<float>& values) const {
    return {values.data(), Shape{static_cast<std::int64_t>(batch_.size()), options_.hidden_size}};
  }

  /// forward: the reference's, of input_ and parameters_.
  void expect_gradients(const std::vector<std::string>& names, const std::function<Values()>& forward) {
    const auto loss = [&] {
      const Values y = forward();
      double sum = 0.0;
      for (std::size_t i = 0; i < y.size(); ++i) sum += dy_[i] * y[i];
      return sum;
    };
    EXPECT_LE(gradient_error(dx_, input_, loss), kLayerTolerance) << "input";
    for (const auto& name : names) {
      const auto analytic = tensor(weights_.dense, gradient_, weights_.dense.find(kPrefix + name));
      EXPECT_LE(gradient_error(analytic, parameters_.at({kPrefix + name, -1}), loss), kLayerTolerance)
          << name;
    }
  }
  [[nodiscard]] const Values& parameter(const std::string& name) const {
    return parameters_.at({kPrefix + name, -1});
  }

  model::ModelOptions options_;
  Weights weights_;
  Batch batch_;
  std::vector<float> x_, dy_, y_, dx_, gradient_;
  Arena arena_;
  Model oracle_;
  Parameters parameters_;
  Values input_;
};

}  // namespace troupe::reference
