#pragma once
#include <optional>
#include <variant>

#include "experts/moe_layer.h"
#include "layers/feed_forward.h"
#include "layers/norm_layer.h"
#include "model/attention_layer.h"
#include "model/layer_spec.h"
#include "model/microbatch.h"
#include "model/rope_tables.h"

namespace troupe::model {

/// What the blocks of a model share; all but the options must outlive them.
struct BlockContext {
  const experts::MoeOptions& moe;
  std::int64_t sequence_length;
  RopeTables& rope;
  const ParameterTable& dense;
  const ParameterTable& experts;
  const experts::ModelExpertGroup& group;  // copied
  experts::Exchange& exchange;
};

/// x = x + attention(norm(x));  x = x + ffn(norm(x)), the FFN dense or a layer of experts.
class Block {
 public:
  struct Saved {
    ConstTensorView x;  // [tokens, hidden], the block's input
    layers::NormLayer::Saved attention_norm;
    AttentionLayer::Saved attention;
    TensorView middle;  // [tokens, hidden], after attention
    layers::NormLayer::Saved ffn_norm;
    layers::FeedForward::Saved ffn;  // of a dense layer
    std::optional<experts::MoeLayer::Saved> moe;
  };

  /// rows: of its dispatch, where it has experts
  static void declare(layers::Declaration& declaration, const LayerSpec& layer,
                      const experts::MoeOptions& moe, std::int64_t hidden_size,
                      const experts::RoutedRows& rows);

  Block(const LayerSpec& layer, const BlockContext& context);

  [[nodiscard]] Saved make_saved() const;

  /// x: [tokens, hidden], kept by `saved`; y: overwritten. step and result: of all layers
  void forward(const Pass& pass, ConstTensorView x, const StepContext& step, Saved& saved,
               MicrobatchResult& result, TensorView y) const;

  /// gradient: [tokens, hidden], of y, becomes that of x.
  void backward(const Pass& pass, const StepContext& step, Saved& saved, MicrobatchResult& result,
                TensorView gradient) const;

 private:
  void backward_ffn(const Pass& pass, const StepContext& step, Saved& saved, MicrobatchResult& result,
                    ConstTensorView gradient, TensorView dx) const;

  layers::NormLayer attention_norm_;
  AttentionLayer attention_;
  layers::NormLayer ffn_norm_;
  std::variant<layers::FeedForward, experts::MoeLayer> ffn_;
  std::int64_t moe_index_;  // among the layers with experts
};

}  // namespace troupe::model
