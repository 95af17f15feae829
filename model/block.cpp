#include "model/block.h"

#include "model/parameters.h"
#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::model {
namespace {

using experts::MoeLayer;

std::variant<layers::FeedForward, MoeLayer> make_ffn(const ModelOptions& options, std::int64_t layer,
                                                     const std::string& prefix, const ParameterTable& dense,
                                                     const ParameterTable& expert_table,
                                                     const experts::ModelExpertGroup& group,
                                                     experts::Exchange& exchange) {
  if (is_moe_layer(options, layer)) {
    return MoeLayer(options.moe, options.ffn.form, layer, prefix, dense, expert_table,
                    group.layer(static_cast<std::size_t>(moe_index(options, layer))), exchange);
  }
  return layers::FeedForward(options.ffn.form, dense, prefix + "ffn/", options.ffn.intermediate_size);
}

}  // namespace

Block::Block(const ModelOptions& options, std::int64_t layer, std::int64_t sequence_length,
             const ops::RopeTable& rope, const ParameterTable& dense, const ParameterTable& experts,
             const experts::ModelExpertGroup& group, experts::Exchange& exchange)
    : attention_norm_(dense, layer_prefix(layer, options.layers) + "attention_norm/weight", options.norm.eps),
      attention_(options, sequence_length, rope, dense, layer_prefix(layer, options.layers) + "attention/"),
      ffn_norm_(dense, layer_prefix(layer, options.layers) + "ffn_norm/weight", options.norm.eps),
      ffn_(make_ffn(options, layer, layer_prefix(layer, options.layers), dense, experts, group, exchange)) {}

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
