#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "layers/embedding.h"
#include "layers/norm_layer.h"
#include "layers/projection.h"
#include "model/block.h"

namespace troupe::model {

/// A module of multi-token prediction (DeepSeek-V3, arXiv 2412.19437, section 2.2), number d = 1, 2, …:
///   h'_i = W [norm(embedding(t_{i+d})); norm(h_i)],   h: what the head reads of the module before, or of the
///   model;   y = norm(block(h')), which the model's head reads to predict t_{i+d+1}.
/// Embedding and head are the model's; dropout is the block's. What lies behind a document's end is neither
/// read nor predicted: there a token reads itself, and has no target. On the host only.
/// Parameters, with layer.prefix: embedding_norm/, hidden_norm/, eh_proj [hidden, 2 hidden], the block's, and
/// head_norm/.
class MtpModule {
 public:
  /// Between forward and backward.
  struct Saved {
    explicit Saved(Block::Saved of_block) : block(std::move(of_block)) {}
    std::vector<std::int32_t> integers;  // of the next two
    ConstTensorView tokens;              // [tokens], t_{i+d}
    ConstTensorView targets;             // [tokens], t_{i+d+1}, or -1
    ConstTensorView hidden;              // [tokens, hidden], h
    TensorView embedded;                 // [tokens, hidden]
    layers::NormLayer::Saved embedding_norm;
    layers::NormLayer::Saved hidden_norm;
    TensorView joined;     // [tokens, 2 hidden]
    TensorView projected;  // [tokens, hidden], h'
    Block::Saved block;
    TensorView block_output;  // [tokens, hidden]
    layers::NormLayer::Saved head_norm;
  };

  /// head_columns: logits of a token
  static void declare(layers::Declaration& declaration, const LayerSpec& layer,
                      const experts::MoeOptions& moe, std::int64_t hidden_size,
                      const experts::RoutedRows& rows, std::int64_t head_columns);

  /// depth: d; layer: of its block. The embedding must outlive it.
  MtpModule(std::int64_t depth, const LayerSpec& layer, const BlockContext& context,
            const layers::Embedding& embedding);

  [[nodiscard]] Saved make_saved(std::int64_t max_tokens) const;

  /// hidden: [tokens, hidden], h, kept by `saved`. Returns y.
  ConstTensorView forward(const Pass& pass, ConstTensorView hidden, const StepContext& step, Saved& saved,
                          MicrobatchResult& result) const;

  /// dy, dhidden: [tokens, hidden], dhidden overwritten. embedding: its gradient is overwritten or added to.
  void backward(const Pass& pass, const StepContext& step, Saved& saved, MicrobatchResult& result,
                ConstTensorView dy, ops::Accumulate embedding, TensorView dhidden) const;

 private:
  void shift(const MicrobatchInput& input, Saved& saved) const;

  std::int64_t depth_;
  const layers::Embedding& embedding_;
  layers::NormLayer embedding_norm_;
  layers::NormLayer hidden_norm_;
  layers::Projection projection_;
  Block block_;
  layers::NormLayer head_norm_;
};

}  // namespace troupe::model
