#pragma once
#include <span>

#include "layers/pass.h"
#include "layers/projection.h"
#include "model/microbatch.h"
#include "tensor/tensor.h"

namespace troupe::model {

/// Output projection and next-token loss, in chunks of a fixed number of rows, so that the logits of
/// a microbatch never exist at once.
class Head {
 public:
  /// tied: the weight is the embedding's.
  static void declare(layers::Declaration& declaration, std::int64_t vocab_size, std::int64_t hidden_size,
                      bool tied);

  /// The weight is [vocab, hidden]. z_loss: coefficient of log²Z.
  Head(const ParameterHandle& weight, double z_loss, std::int64_t max_tokens);

  /// Fills nll, log_z_squared and target_tokens of result.  x: [tokens, hidden]; targets: [tokens] i32
  /// token_nll: [tokens], or empty
  void forward(const Pass& pass, ConstTensorView x, ConstTensorView targets, std::span<double> token_nll,
               MicrobatchResult& result);

  /// The same; overwrites dx: [tokens, hidden] and the weight's gradient with the gradient of
  /// scale * Σ (nll + z_loss log²Z).
  void forward_backward(const Pass& pass, ConstTensorView x, ConstTensorView targets, float scale,
                        TensorView dx, MicrobatchResult& result);

  /// logits: [vocab], of one row of x.
  void logits_of_row(const Pass& pass, ConstTensorView x, std::int64_t row, std::span<float> logits) const;

 private:
  void add_sums(ConstTensorView targets, MicrobatchResult& result) const;

  layers::Projection projection_;
  double z_loss_;
  std::vector<double> nll_;    // [max tokens]
  std::vector<double> log_z_;  // [max tokens]
};

}  // namespace troupe::model
