#pragma once
#include <span>
#include <vector>

#include "layers/embedding.h"
#include "layers/pass.h"
#include "layers/projection.h"
#include "model/microbatch.h"
#include "model/options.h"
#include "model/preference.h"
#include "tensor/ops/gemm/gemm.h"
#include "tensor/tensor.h"

namespace troupe::model {

/// Rows [begin, end) whose losses weigh alike in what is minimised.
struct WeightedRows {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  double weight = 1.0;
};

/// Output projection and next-token loss, in chunks of a fixed number of rows, so that the logits of
/// a microbatch never exist at once.
class Head {
 public:
  /// tied: the weight is the embedding's.
  static void declare(layers::Declaration& declaration, const LogitOptions& logits, std::int64_t vocab_size,
                      std::int64_t hidden_size, bool tied);

  /// projection: [vocab, hidden]. z_loss: coefficient of log²Z.
  Head(layers::Projection projection, const LogitOptions& logits, double z_loss, std::int64_t max_tokens,
       Accelerator* accelerator);

  /// Fills nll, log_z_squared and target_tokens of result.  x: [tokens, hidden]; targets: [tokens] i32
  /// token_nll: [tokens], or empty
  void forward(const Pass& pass, ConstTensorView x, ConstTensorView targets, std::span<double> token_nll,
               MicrobatchResult& result);

  /// Overwrites dx: [tokens, hidden], and overwrites or adds to the weight's gradient, with the gradient of
  /// Σ weight (nll + z_loss log²Z). The result is filled by add_sums().
  ///   rows: all of x's, ascending
  void forward_backward(const Pass& pass, ConstTensorView x, ConstTensorView targets,
                        std::span<const WeightedRows> rows, TensorView dx,
                        ops::Accumulate of_weight = ops::Accumulate::kNo);

  /// Log-probabilities of the targets of every half of the microbatch's pairs. scores: [pairs]
  void score(const Pass& pass, ConstTensorView x, ConstTensorView targets, std::span<PairScores> scores);
  /// Overwrites dx and the weight's gradient with the gradient of  scale * Σ -log σ(margin) over the pairs.
  void forward_backward_pairs(const Pass& pass, ConstTensorView x, ConstTensorView targets,
                              const ObjectiveOptions& objective, double scale, std::span<PairScores> scores,
                              TensorView dx);

  /// nll, log_z_squared and target_tokens of the last microbatch; on a device after its downloads are
  /// finished.
  void add_sums(const MicrobatchInput& input, MicrobatchResult& result) const;

  /// Σ -log p(target) of the last microbatch, of so many tokens.
  [[nodiscard]] double nll_sum(std::int64_t tokens) const;

  /// logits: [vocab], of one row of x.
  void logits_of_row(const Pass& pass, ConstTensorView x, std::int64_t row, std::span<float> logits) const;
  /// Of all rows of x. logits: [rows, vocab]
  void logits(const Pass& pass, ConstTensorView x, TensorView logits) const {
    const ArenaScope scope(pass.arena);
    make_logits(pass, x, row_factors(pass), logits);
  }

 private:
  /// Losses of every token: on the host, and on the device that computes them, if any.
  struct TokenLosses {
    Tensor nll;  // [max tokens] f64, as the next
    Tensor log_z;
  };
  [[nodiscard]] TokenLosses& computed(const Pass& pass) {
    return pass.execution.accelerator == nullptr ? losses_ : device_losses_;
  }
  [[nodiscard]] ConstTensorView row_factors(const Pass& pass) const;
  void make_logits(const Pass& pass, ConstTensorView x, ConstTensorView factors, TensorView logits) const;
  void backward_logits(const Pass& pass, ConstTensorView made, ConstTensorView factors,
                       TensorView gradient) const;
  void compute_losses(const Pass& pass, ConstTensorView x, ConstTensorView targets);
  void start_downloads(const Pass& pass, std::int64_t rows);

  layers::Projection projection_;
  LogitOptions logits_;
  double z_loss_;
  TokenLosses losses_;
  TokenLosses device_losses_;
  std::vector<WeightedRows> weighted_;  // of pairs
};

/// The matrix from the residual stream to logits: the embedding's, when they are tied, or the head's own.
[[nodiscard]] layers::Projection head_projection(const ModelOptions& options, const ParameterTable& dense,
                                                 const layers::Embedding& embedding);

}  // namespace troupe::model
