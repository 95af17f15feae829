#include "model/block.h"

#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::model {
namespace {

using experts::MoeLayer;

std::variant<layers::FeedForward, MoeLayer> make_ffn(const LayerSpec& layer, const BlockContext& context) {
  const layers::FfnForm& form = layer.feed_forward.form;
  if (layer.moe_layer) {
    return MoeLayer(context.moe, form, layer.layer, layer.prefix, context.dense, context.experts,
                    context.group.layer(static_cast<std::size_t>(*layer.moe_layer)), context.exchange);
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
      ffn_(make_ffn(layer, context)) {}

Block::Saved Block::make_saved() const {
  Saved saved;
  if (const auto* moe = std::get_if<MoeLayer>(&ffn_)) saved.moe.emplace(moe->make_saved());
  return saved;
}

void Block::forward(const Pass& pass, ConstTensorView x, const TokenPlaces& places,
                    const experts::RouterStep& step, const experts::RouterSums& sums, Saved& saved,
                    TensorView y) {
  saved.x = x;
  saved.attention_norm = attention_norm_.forward(pass, x);
  saved.middle = pass.arena.allocate(x.shape());
  attention_.forward(pass, saved.attention_norm.y, places, saved.attention, saved.middle);
  ops::sum(pass.execution, saved.middle.floats(), x.floats(), saved.middle.floats());
  saved.ffn_norm = ffn_norm_.forward(pass, saved.middle);
  forward_ffn(pass, step, sums, saved, y);
  ops::sum(pass.execution, y.floats(), saved.middle.floats(), y.floats());
}

void Block::forward_ffn(const Pass& pass, const experts::RouterStep& step, const experts::RouterSums& sums,
                        Saved& saved, TensorView y) {
  if (auto* moe = std::get_if<MoeLayer>(&ffn_)) {
    moe->forward(pass, saved.ffn_norm.y, step, sums, *saved.moe, y);
    return;
  }
  const auto& ffn = std::get<layers::FeedForward>(ffn_);
  saved.ffn = ffn.allocate(pass.arena, y.rows());
  ffn.expand(pass, saved.ffn_norm.y, saved.ffn);
  ffn.contract(pass, saved.ffn, y);
}

void Block::backward(const Pass& pass, const TokenPlaces& places, const experts::RouterStep& step,
                     const layout::LayerStatistics& load, Saved& saved, TensorView gradient) const {
  const ArenaScope scope(pass.arena);
  const TensorView dnormed = pass.arena.allocate(gradient.shape());
  backward_ffn(pass, step, load, saved, gradient, dnormed);
  ffn_norm_.backward(pass, dnormed, saved.middle, saved.ffn_norm, gradient);
  attention_.backward(pass, gradient, saved.attention_norm.y, places, saved.attention, dnormed);
  attention_norm_.backward(pass, dnormed, saved.x, saved.attention_norm, gradient);
}

void Block::backward_ffn(const Pass& pass, const experts::RouterStep& step,
                         const layout::LayerStatistics& load, Saved& saved, ConstTensorView gradient,
                         TensorView dx) const {
  if (const auto* moe = std::get_if<MoeLayer>(&ffn_)) {
    moe->backward(pass, gradient, saved.ffn_norm.y, step, load, *saved.moe, dx);
    return;
  }
  const auto& ffn = std::get<layers::FeedForward>(ffn_);
  ffn.backward_contract(pass, gradient, saved.ffn);
  ffn.backward_expand(pass, gradient, saved.ffn_norm.y, saved.ffn, dx);
}

}  // namespace troupe::model
