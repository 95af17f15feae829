#pragma once
#include <functional>
#include <string>

#include "layers/dropout.h"
#include "layers/options.h"
#include "layers/pass.h"
#include "layers/projection.h"
#include "tensor/tensor.h"

namespace troupe::layers {

/// "gate_up" or, without a gate, "up": what a feed-forward's first projection is called.
[[nodiscard]] std::string input_projection(const FfnForm& form);

/// down( activation( gate_up x ) ) for every token, in any form of FfnForm: a dense layer's, or the shared
/// experts'. In two halves, so that something else can go on beside each: `meanwhile` is called between
/// pieces of a fixed number of rows.
class FeedForward {
 public:
  using Meanwhile = std::function<void()>;  // empty: nothing
  struct Saved {
    TensorView projected;   // [tokens, input_columns * size]: gate and up, or up
    TensorView activation;  // [tokens, size]
  };

  static void declare(Declaration& declaration, const FfnForm& form, std::int64_t hidden, std::int64_t size);
  /// Of one expert: its rows are not this worker's tokens.
  static void declare_parameters(Declaration& declaration, const FfnForm& form, std::int64_t hidden,
                                 std::int64_t size);

  /// prefix: "layers/03/ffn/"; parameters are prefix + "gate_up_proj" ("up_proj" without a gate) and
  /// "down_proj", with biases "…_bias".
  /// dropout: of what the activation makes
  FeedForward(const FfnForm& form, const ParameterTable& table, const std::string& prefix, std::int64_t size,
              const Dropout& dropout = Dropout(0.0, 0))
      : kind_(form.activation),
        input_(table, prefix + input_projection(form), form.bias),
        down_(table, prefix + "down", form.bias),
        size_(size),
        dropout_(dropout) {}

  [[nodiscard]] Saved allocate(Arena& arena, std::int64_t tokens) const;

  /// x: [tokens, hidden]; fills saved
  void expand(const Pass& pass, ConstTensorView x, const Saved& saved, const Meanwhile& meanwhile = {}) const;
  /// y: [tokens, hidden], overwritten
  void contract(const Pass& pass, const Saved& saved, TensorView y, const Meanwhile& meanwhile = {}) const;

  /// Replaces saved.projected by the gradient with respect to it.
  void backward_contract(const Pass& pass, ConstTensorView dy, const Saved& saved,
                         const Meanwhile& meanwhile = {}) const;
  /// dx: [tokens, hidden], overwritten; and the weights' gradients.
  void backward_expand(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                       TensorView dx, const Meanwhile& meanwhile = {}) const;

 private:
  ops::Activation kind_;
  Projection input_;
  Projection down_;
  std::int64_t size_;
  Dropout dropout_;
};

}  // namespace troupe::layers
