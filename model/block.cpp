#include "model/block.h"

#include "base/index.h"
#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::model {
namespace {

using experts::MoeLayer;

std::variant<layers::FeedForward, MoeLayer> make_ffn(const LayerSpec& layer, const BlockContext& context) {
  const layers::FfnForm& form = layer.feed_forward.form;
  if (layer.moe_layer) {
    return MoeLayer(context.moe, form, layer.layer, layer.prefix, context.dense, context.experts,
                    context.group.layer(at(*layer.moe_layer)), context.exchange);
  }
  return layers::FeedForward(form, context.dense, layer.prefix + "ffn/",
                             layer.feed_forward.intermediate_size);
}

}  // namespace

void Block::declare(layers::Declaration& declaration, const LayerSpec& layer, const experts::MoeOptions& moe,
                    std::int64_t hidden_size, const experts::RoutedRows& rows) {
  const std::int64_t stream = declaration.tokens() * hidden_size;
  declaration.keep(stream, 2);  // the output, and what is between mixer and feed-forward
  declaration.use_in_backward(stream);
  const auto add = [&](const char* folder, ParameterPart part, const auto& declare_part) {
    layers::Declaration of_part = declaration.part(folder, part);
    declare_part(of_part);
    declaration.add(std::move(of_part));
  };
  const auto norm = [&](layers::Declaration& of_norm) { layers::NormLayer::declare(of_norm, hidden_size); };
  add("attention_norm/", ParameterPart::kMixer, norm);
  add("attention/", ParameterPart::kMixer,
      [&](layers::Declaration& attention) { AttentionLayer::declare(attention, layer.mixer, hidden_size); });
  add("ffn_norm/", ParameterPart::kFeedForward, norm);
  const FfnOptions& ffn = layer.feed_forward;
  if (layer.moe_layer) {
    add("", ParameterPart::kExperts, [&](layers::Declaration& experts) {
      MoeLayer::declare(experts, moe, ffn.form, hidden_size, *layer.moe_layer, rows);
    });
  } else {
    add("ffn/", ParameterPart::kFeedForward, [&](layers::Declaration& dense) {
      layers::FeedForward::declare(dense, ffn.form, hidden_size, ffn.intermediate_size);
    });
  }
}

Block::Block(const LayerSpec& layer, const BlockContext& context)
    : attention_norm_(context.dense, layer.prefix + "attention_norm/weight", layer.norm.eps),
      attention_(layer, context.sequence_length, context.rope, context.dense),
      ffn_norm_(context.dense, layer.prefix + "ffn_norm/weight", layer.norm.eps),
      ffn_(make_ffn(layer, context)),
      moe_index_(layer.moe_layer.value_or(0)) {}

Block::Saved Block::make_saved() const {
  Saved saved;
  if (const auto* moe = std::get_if<MoeLayer>(&ffn_)) saved.moe.emplace(moe->make_saved());
  return saved;
}

void Block::forward(const Pass& pass, ConstTensorView x, const StepContext& step, Saved& saved,
                    MicrobatchResult& result, TensorView y) const {
  saved.x = x;
  saved.attention_norm = attention_norm_.forward(pass, x);
  saved.middle = pass.arena.allocate(x.shape());
  attention_.forward(pass, saved.attention_norm.y, saved.attention, saved.middle);
  ops::sum(pass.execution, saved.middle, x, saved.middle);
  saved.ffn_norm = ffn_norm_.forward(pass, saved.middle);
  if (const auto* moe = std::get_if<MoeLayer>(&ffn_)) {
    moe->forward(pass, saved.ffn_norm.y, step.layer(moe_index_, result.layers()),
                 result.layer(moe_index_).load, *saved.moe, y);
  } else {
    const auto& ffn = std::get<layers::FeedForward>(ffn_);
    saved.ffn = ffn.allocate(pass.arena, y.rows());
    ffn.expand(pass, saved.ffn_norm.y, saved.ffn);
    ffn.contract(pass, saved.ffn, y);
  }
  ops::sum(pass.execution, y, saved.middle, y);
}

void Block::backward(const Pass& pass, const StepContext& step, Saved& saved, MicrobatchResult& result,
                     TensorView gradient) const {
  const ArenaScope scope(pass.arena);
  const TensorView dnormed = pass.arena.allocate(gradient.shape());
  backward_ffn(pass, step, saved, result, gradient, dnormed);
  ffn_norm_.backward(pass, dnormed, saved.middle, saved.ffn_norm, gradient);
  attention_.backward(pass, gradient, saved.attention_norm.y, saved.attention, dnormed);
  attention_norm_.backward(pass, dnormed, saved.x, saved.attention_norm, gradient);
}

void Block::backward_ffn(const Pass& pass, const StepContext& step, Saved& saved, MicrobatchResult& result,
                         ConstTensorView gradient, TensorView dx) const {
  if (const auto* moe = std::get_if<MoeLayer>(&ffn_)) {
    moe->backward(pass, gradient, saved.ffn_norm.y, step.layer(moe_index_, result.layers()),
                  result.layer(moe_index_), *saved.moe, dx);
    return;
  }
  const auto& ffn = std::get<layers::FeedForward>(ffn_);
  ffn.backward_contract(pass, gradient, saved.ffn);
  ffn.backward_expand(pass, gradient, saved.ffn_norm.y, saved.ffn, dx);
}

}  // namespace troupe::model
