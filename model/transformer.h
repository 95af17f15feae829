#pragma once
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "experts/expert_group.h"
#include "layers/dropout.h"
#include "layers/embedding.h"
#include "layers/norm_layer.h"
#include "model/block.h"
#include "model/head.h"
#include "model/microbatch.h"
#include "model/mtp_module.h"
#include "model/options.h"
#include "model/reward_head.h"
#include "model/transformer_shape.h"
#include "tensor/arena.h"
#include "tensor/execution.h"
#include "tensor/parameter.h"

namespace troupe::model {

/// The pre-norm decoder: embedding → blocks → final norm → head and loss. Holds no weights: they
/// are flat buffers of the caller, laid out by two ParameterTables. Activations live in one Arena.
/// All methods are collective over the expert group: every rank of it calls the same method, with zero
/// tokens where it has none. Bits depend on the microbatch only, never on the group, the threads or the
/// other ranks' tokens (docs/architecture.md, "Layout invariance").
/// Used from the compute thread. Errors: kInternal naming what does not fit; kPeerLost.
class Transformer {
 public:
  /// `dense` and `experts` (this worker's, may be empty), the group's communicator and the execution's
  /// profile must outlive the model.
  Transformer(const ModelOptions& options, const TransformerShape& shape, const ParameterTable& dense,
              const ParameterTable& experts, const experts::ModelExpertGroup& group, Execution execution);
  Transformer(const Transformer&) = delete;
  Transformer& operator=(const Transformer&) = delete;

  [[nodiscard]] MicrobatchResult make_result() const;

  /// Forward of one microbatch, which is held for backward: as number 0, 1, … since release(). At most
  /// `shape.held` are.
  void forward(const MicrobatchInput& input, const StepContext& step, const Weights& weights,
               MicrobatchResult& result);

  /// Loss and gradient of a held microbatch, once for each:
  ///   L = Σ (nll + z_loss·log²Z + λ/D Σ_d nll of module d) / M
  ///       + Σ_layers Σ (α·aux + router_z_loss·lse²) / routed tokens
  /// or, with an objective that compares, the pairs' losses for the first term: model/preference.h.
  void backward(std::size_t number, const StepContext& step, const Weights& weights,
                const Gradients& gradients, MicrobatchResult& result);

  /// Nothing is held any more, and its memory is free.
  void release();

  /// Forward and backward of one microbatch, when nothing else is held.
  void forward_backward(const MicrobatchInput& input, const StepContext& step, const Weights& weights,
                        const Gradients& gradients, MicrobatchResult& result);

  /// What forward() computes, for its load only: nothing is kept, beside what is held.
  void count(const MicrobatchInput& input, const StepContext& step, const Weights& weights,
             MicrobatchResult& result);

  /// Forward only. token_nll: [tokens], nats, 0 where masked. Releases what is held.
  void evaluate(const MicrobatchInput& input, const StepContext& step, const Weights& weights,
                std::span<double> token_nll, MicrobatchResult& result);

  /// What the model thinks of the microbatch's pairs, with an objective that compares. scores: [pairs].
  /// Releases what is held.
  void score(const MicrobatchInput& input, const StepContext& step, const Weights& weights,
             std::span<PairScores> scores, MicrobatchResult& result);

  /// Logits of one row of the microbatch, for sampling. logits: [vocab], empty on a rank with zero
  /// tokens. Targets are not read. Releases what is held.
  void logits_of_row(const MicrobatchInput& input, const StepContext& step, const Weights& weights,
                     std::int64_t row, std::span<float> logits);

  /// Largest use of the activation memory so far.
  [[nodiscard]] std::size_t activation_peak_bytes() const { return arena_.peak_bytes(); }

 private:
  /// What a model keeps of an input, and what it makes of it.
  struct Integers {
    std::vector<std::int32_t> values;
    std::vector<PreferencePair> pairs;
    Tensor device_values;                // in their place, on a device
    std::vector<ConstTensorView> spans;  // of KeySpans
  };
  /// A microbatch between its forward and its backward.
  struct Held {
    MicrobatchInput input;
    Integers integers;
    std::vector<Block::Saved> blocks;
    ConstTensorView x;  // [tokens, hidden], of the last block
    layers::NormLayer::Saved normed;
    std::vector<MtpModule::Saved> mtp;
  };

  [[nodiscard]] Held make_held() const;
  [[nodiscard]] MicrobatchInput checked(const MicrobatchInput& input, bool with_targets) const;
  void check_pairs(const MicrobatchInput& input) const;
  void check_domains(const MicrobatchInput& input) const;
  void check_contents(const MicrobatchInput& input) const;
  void add_spans(MicrobatchInput& input, Integers& place) const;
  [[nodiscard]] MicrobatchInput kept(const MicrobatchInput& input, Integers& place) const;
  [[nodiscard]] MicrobatchInput placed(const MicrobatchInput& input, Integers& place) const;
  void check_gradients(const Gradients& gradients) const;
  [[nodiscard]] Pass make_pass(const MicrobatchInput& input, const StepContext& step, const Weights& weights);
  [[nodiscard]] Pass make_training_pass(const MicrobatchInput& input, const StepContext& step,
                                        const Weights& weights, const Gradients& gradients = {});
  [[nodiscard]] TensorView embed(const Pass& pass);
  [[nodiscard]] ConstTensorView forward_only(const Pass& pass, const StepContext& step,
                                             MicrobatchResult& result);
  void forward_mtp(const Pass& pass, const StepContext& step, ConstTensorView normed, bool keep,
                   std::vector<MtpModule::Saved>& saved, MicrobatchResult& result);
  void backward_head(const Pass& pass, const Held& held, double scale, TensorView dnormed);
  void backward_mtp(const Pass& pass, const StepContext& step, Held& held, double scale, TensorView dnormed,
                    MicrobatchResult& result);
  void fill_losses(const Held& held, MicrobatchResult& result) const;
  void backward_blocks(const Pass& pass, const StepContext& step, Held& held, TensorView gradient,
                       MicrobatchResult& result);

  ModelOptions options_;
  TransformerShape shape_;
  const ParameterTable& dense_;
  const ParameterTable& experts_;
  int group_size_;
  std::unique_ptr<experts::Exchange> exchange_;  // of all layers
  Execution execution_;
  Arena arena_;
  RopeTables rope_;
  KeySpans spans_;
  layers::Embedding embedding_;
  layers::Dropout embedding_dropout_;
  layers::NormLayer final_norm_;
  std::optional<Head> head_;  // of a reward model the next
  std::optional<RewardHead> reward_head_;
  std::vector<Block> blocks_;
  std::vector<MtpModule> mtp_;
  std::vector<Head> mtp_heads_;     // the head, with each module's losses
  std::vector<Held> held_;          // [shape.held]
  std::size_t holds_ = 0;           // of them
  std::vector<PairScores> scores_;  // of the microbatch that was backward last
  Held scratch_;                    // of passes that keep nothing
  Integers passing_integers_;       // of their input
};

}  // namespace troupe::model
