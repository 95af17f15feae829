#pragma once
#include <memory>
#include <span>

#include "experts/expert_group.h"
#include "model/microbatch.h"
#include "model/options.h"
#include "model/transformer_shape.h"
#include "tensor/execution.h"
#include "tensor/parameter.h"

namespace troupe::model {

/// The pre-norm decoder: embedding → blocks → final norm → head and loss. Holds no weights: they
/// are flat buffers of the caller, laid out by two ParameterTables. Activations live in one Arena
/// that is reset per call. All methods are collective over the expert group: every rank of it calls
/// the same method, with zero tokens where it has none. Bits depend on the microbatch only, never on
/// the group, the threads or the other ranks' tokens (docs/architecture.md, "Layout invariance").
/// Used from the compute thread. Errors: kInternal naming what does not fit; kPeerLost.
class Transformer {
 public:
  /// `dense` and `experts` (this worker's, may be empty), the group's communicator and the execution's
  /// profile must outlive the model.
  Transformer(const ModelOptions& options, const TransformerShape& shape, const ParameterTable& dense,
              const ParameterTable& experts, const experts::ModelExpertGroup& group, Execution execution);
  ~Transformer();
  Transformer(const Transformer&) = delete;
  Transformer& operator=(const Transformer&) = delete;

  [[nodiscard]] MicrobatchResult make_result() const;

  /// Loss and gradient of one microbatch:
  ///   L = Σ (nll + z_loss·log²Z) / M + Σ_layers Σ (α·aux + router_z_loss·lse²) / routed tokens
  void forward_backward(const MicrobatchInput& input, const StepContext& step, const WaveContext& wave,
                        const Weights& weights, const Gradients& gradients, MicrobatchResult& result);

  /// Forward only. token_nll: [tokens], nats, 0 where masked.
  void evaluate(const MicrobatchInput& input, const StepContext& step, const Weights& weights,
                std::span<double> token_nll, MicrobatchResult& result);

  /// Logits of one row of the microbatch, for sampling. logits: [vocab], empty on a rank with zero
  /// tokens. Targets are not read.
  void logits_of_row(const MicrobatchInput& input, const StepContext& step, const Weights& weights,
                     std::int64_t row, std::span<float> logits);

  /// Largest use of the activation memory so far.
  [[nodiscard]] std::size_t activation_peak_bytes() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace troupe::model
