#include "model/mtp_module.h"

#include <algorithm>
#include <utility>

#include "base/index.h"
#include "tensor/ops/heads/heads.h"

namespace troupe::model {
namespace {

using layers::NormLayer;
using layers::Projection;

void add_norm(layers::Declaration& declaration, const std::string& folder, ParameterPart part,
              const LayerSpec& layer, std::int64_t hidden_size) {
  layers::Declaration norm = declaration.part(folder, part);
  NormLayer::declare(norm, layer.norm, hidden_size);
  declaration.add(std::move(norm));
}

/// The columns [first, first + out.columns()) of x.
void copy_columns(const Pass& pass, ConstTensorView x, std::int64_t first, TensorView out) {
  ops::copy_heads(pass.execution, 1, out.columns(), x, {x.columns(), first}, out, {out.columns(), 0});
}
void copy_to_columns(const Pass& pass, ConstTensorView x, TensorView out, std::int64_t first) {
  ops::copy_heads(pass.execution, 1, x.columns(), x, {x.columns(), 0}, out, {out.columns(), first});
}

}  // namespace

void MtpModule::declare(layers::Declaration& declaration, const LayerSpec& layer,
                        const experts::MoeOptions& moe, std::int64_t hidden_size,
                        const experts::RoutedRows& rows, std::int64_t head_columns) {
  const std::int64_t tokens = declaration.tokens();
  const std::int64_t stream = tokens * hidden_size;
  declaration.keep(stream, 2);             // embedded, projected
  declaration.keep(2 * stream);            // joined
  declaration.use_in_backward(stream, 2);  // gradients of y, and of what the module before gives
  add_norm(declaration, "embedding_norm/", ParameterPart::kMixer, layer, hidden_size);
  add_norm(declaration, "hidden_norm/", ParameterPart::kMixer, layer, hidden_size);
  layers::Declaration join = declaration.part("", ParameterPart::kMixer);
  Projection::declare(join, "eh", Projection::Side::kInput, hidden_size, 2 * hidden_size, false);
  join.use_in_backward(stream);
  join.use_in_backward(2 * stream);
  declaration.add(std::move(join));
  layers::Declaration block = declaration.part("", ParameterPart::kMixer);
  Block::declare(block, layer, moe, hidden_size, rows);
  declaration.add(std::move(block));
  add_norm(declaration, "head_norm/", ParameterPart::kHead, layer, hidden_size);
  layers::Declaration head = declaration.part("", ParameterPart::kHead);
  head.multiply(head_columns * hidden_size);
  head.use_in_backward(std::min(kHostPieceRows, tokens) * head_columns, 2);
  declaration.add(std::move(head));
}

MtpModule::MtpModule(std::int64_t depth, const LayerSpec& layer, const BlockContext& context,
                     const layers::Embedding& embedding)
    : depth_(depth),
      embedding_(embedding),
      embedding_norm_(
          NormLayer::in_folder(context.mixer.table, layer.prefix + "embedding_norm/", layer.norm)),
      hidden_norm_(NormLayer::in_folder(context.mixer.table, layer.prefix + "hidden_norm/", layer.norm)),
      projection_(context.mixer.table, layer.prefix + "eh", false),
      block_(layer, context),
      head_norm_(NormLayer::in_folder(context.mixer.table, layer.prefix + "head_norm/", layer.norm)) {}

MtpModule::Saved MtpModule::make_saved(std::int64_t max_tokens) const {
  Saved saved(block_.make_saved());
  saved.integers.reserve(at(2 * max_tokens));
  return saved;
}

/// Tokens and targets `depth` places later, in the same document.
void MtpModule::shift(const MicrobatchInput& input, Saved& saved) const {
  const std::int64_t tokens = input.tokens.elements();
  const std::int32_t* first = input.first_visible.i32();
  const auto is_there = [&](std::int64_t t) {
    const std::int64_t later = t + depth_;
    return t % input.sequence_length + depth_ < input.sequence_length && first[later] == first[t];
  };
  saved.integers.clear();
  for (std::int64_t t = 0; t < tokens; ++t)
    saved.integers.push_back(input.tokens.i32()[is_there(t) ? t + depth_ : t]);
  for (std::int64_t t = 0; t < tokens; ++t)
    saved.integers.push_back(is_there(t) ? input.targets.i32()[t + depth_] : -1);
  saved.tokens = {saved.integers.data(), Shape{tokens}};
  saved.targets = {saved.integers.data() + tokens, Shape{tokens}};
}

ConstTensorView MtpModule::forward(const Pass& pass, ConstTensorView hidden, const StepContext& step,
                                   Saved& saved, MicrobatchResult& result) const {
  const std::int64_t width = hidden.columns();
  shift(pass.microbatch, saved);
  saved.hidden = hidden;
  saved.embedded = pass.arena.allocate(hidden.shape());
  embedding_.forward(pass, saved.tokens, pass.microbatch.positions, saved.embedded);
  saved.embedding_norm = embedding_norm_.forward(pass, saved.embedded);
  saved.hidden_norm = hidden_norm_.forward(pass, hidden);
  saved.joined = pass.arena.allocate({hidden.rows(), 2 * width});
  copy_to_columns(pass, saved.embedding_norm.y, saved.joined, 0);
  copy_to_columns(pass, saved.hidden_norm.y, saved.joined, width);
  saved.projected = pass.arena.allocate(hidden.shape());
  projection_.forward(pass.execution, pass.dense, saved.joined, saved.projected);
  saved.block_output = pass.arena.allocate(hidden.shape());
  block_.forward(pass, saved.projected, step, saved.block, result, saved.block_output);
  saved.head_norm = head_norm_.forward(pass, saved.block_output);
  return saved.head_norm.y;
}

void MtpModule::backward(const Pass& pass, const StepContext& step, Saved& saved, MicrobatchResult& result,
                         ConstTensorView dy, ops::Accumulate embedding, TensorView dhidden) const {
  const ArenaScope scope(pass.arena);
  const TensorView gradient = pass.arena.allocate(dhidden.shape());
  head_norm_.backward(pass, dy, saved.block_output, saved.head_norm, gradient, ops::Accumulate::kNo);
  block_.backward(pass, step, saved.block, result, gradient);
  const TensorView djoined = pass.arena.allocate(saved.joined.shape());
  projection_.backward(pass.execution, pass.dense, gradient, djoined);
  projection_.weight_gradients(pass.execution, gradient, saved.joined, pass.dense_gradient);
  const TensorView half = pass.arena.allocate(dhidden.shape());
  copy_columns(pass, djoined, 0, half);
  embedding_norm_.backward(pass, half, saved.embedded, saved.embedding_norm, half, ops::Accumulate::kNo);
  embedding_.backward(pass, saved.tokens, pass.microbatch.positions, half, embedding);
  copy_columns(pass, djoined, dhidden.columns(), half);
  hidden_norm_.backward(pass, half, saved.hidden, saved.hidden_norm, dhidden, ops::Accumulate::kNo);
}

}  // namespace troupe::model
