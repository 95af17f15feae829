#pragma once
#include <memory>
#include <optional>

#include "experts/moe_layer.h"
#include "layers/dropout.h"
#include "layers/feed_forward.h"
#include "layers/norm_layer.h"
#include "model/layer_spec.h"
#include "model/microbatch.h"
#include "model/mixer.h"

namespace troupe::model {

/// What the blocks of a model share; all but the options must outlive them.
struct BlockContext {
  const experts::MoeOptions& moe;
  MixerContext mixer;
  const ParameterTable& experts;
  const experts::ModelExpertGroup& group;  // copied
  experts::Exchange& exchange;
};

/// A mixer and a feed-forward, dense or a layer of experts, that add to the residual stream, with norms where
/// NormPlacement says. Where a shortcut begins there are both: what the experts give is added to the output
/// of the block where it ends (LongCat-Flash, arXiv 2509.01322).
class Block {
 public:
  /// Around a mixer or a feed-forward.
  struct BranchSaved {
    layers::NormLayer::Saved before;
    TensorView raw;  // [tokens, hidden], what the norm after it sees
    layers::NormLayer::Saved after;
  };
  struct Saved {
    ConstTensorView x;  // [tokens, hidden], the block's input
    BranchSaved mixer_branch;
    std::unique_ptr<Mixer::Saved> mixer;
    TensorView middle;  // [tokens, hidden], after the mixer
    BranchSaved ffn_branch;
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
  ///   shortcut: [tokens, hidden], from where one begins, and overwrites it, to where it ends; else not used
  void forward(const Pass& pass, ConstTensorView x, const StepContext& step, Saved& saved,
               MicrobatchResult& result, TensorView y, TensorView shortcut = {}) const;

  /// gradient: [tokens, hidden], of y, becomes that of x.
  ///   shortcut: its gradient, overwritten where it ends, and read where it begins
  void backward(const Pass& pass, const StepContext& step, Saved& saved, MicrobatchResult& result,
                TensorView gradient, TensorView shortcut = {}) const;
  [[nodiscard]] bool begins_shortcut() const { return shortcut_ == ShortcutPlace::kBegins; }

 private:
  /// The norms around a mixer or a feed-forward.
  struct Branch {
    std::optional<layers::NormLayer> before;
    std::optional<layers::NormLayer> after;
    layers::Dropout dropout;
  };

  static Branch make_branch(const LayerSpec& layer, const ParameterTable& table, const std::string& name);
  void forward_branches(const Pass& pass, const StepContext& step, Saved& saved, MicrobatchResult& result,
                        TensorView y, TensorView shortcut) const;
  void forward_ffn(const Pass& pass, const StepContext& step, ConstTensorView x, Saved& saved,
                   MicrobatchResult& result, TensorView y, TensorView shortcut = {}) const;
  void backward_ffn(const Pass& pass, const StepContext& step, ConstTensorView dy, Saved& saved,
                    MicrobatchResult& result, TensorView dx, TensorView shortcut = {}) const;
  void backward_experts(const Pass& pass, const StepContext& step, ConstTensorView dy, ConstTensorView x,
                        Saved& saved, MicrobatchResult& result, TensorView dx) const;
  void forward_parallel(const Pass& pass, const StepContext& step, Saved& saved, MicrobatchResult& result,
                        TensorView y) const;
  void backward_parallel(const Pass& pass, const StepContext& step, Saved& saved, MicrobatchResult& result,
                         TensorView gradient) const;
  template <class Body>
  void forward_branch(const Pass& pass, const Branch& branch, ConstTensorView x, BranchSaved& saved,
                      TensorView y, const Body& body) const;
  template <class Body>
  void backward_branch(const Pass& pass, const Branch& branch, ConstTensorView x, const BranchSaved& saved,
                       TensorView gradient, const Body& body) const;
  void finish(const Pass& pass, const Branch& branch, TensorView added) const;
  [[nodiscard]] ConstTensorView unfinished(const Pass& pass, const Branch& branch, TensorView dadded) const;

  NormPlacement placement_;
  float residual_multiplier_;
  Branch mixer_branch_;
  std::unique_ptr<Mixer> mixer_;
  Branch ffn_branch_;
  std::optional<layers::FeedForward> ffn_;  // this one, or the next, or both
  std::optional<experts::MoeLayer> moe_;
  std::int64_t moe_index_;  // among the layers with experts
  ShortcutPlace shortcut_;
};

}  // namespace troupe::model
