#include "model/query_projection.h"

namespace troupe::model {
namespace {

using layers::NormLayer;
using layers::Projection;

std::string in_layer(const LayerSpec& layer, const std::string& name) {
  return layer.prefix + "attention/" + name;
}

}  // namespace

layers::NormForm inner_norm_form(const LayerSpec& layer) {
  const bool layer_norm = layer.norm.kind == layers::NormKind::kLayerNorm;
  return {.kind = layer_norm ? layers::NormKind::kRms : layer.norm.kind,
          .bias = false,
          .eps = layer.inner_norm_eps};
}

void QueryProjection::declare_latent(layers::Declaration& declaration, const LayerSpec& layer,
                                     const std::string& norm, std::int64_t rank, std::int64_t width,
                                     std::int64_t hidden_size) {
  const std::int64_t latent = declaration.tokens() * rank;
  Projection::declare(declaration, "q_down", Projection::Side::kInput, rank, hidden_size, false);
  NormLayer::declare_as(declaration, norm, inner_norm_form(layer), rank, latent);
  Projection::declare(declaration, "q_up", Projection::Side::kInput, width, rank, false);
  declaration.keep(latent);
  declaration.use_in_backward(latent);
}

QueryProjection::QueryProjection(const LayerSpec& layer, const ParameterTable& table, const std::string& norm)
    : out_(table, in_layer(layer, "q_up"), false) {
  down_.emplace(table, in_layer(layer, "q_down"), false);
  norm_.emplace(table, in_layer(layer, norm), inner_norm_form(layer));
}

void QueryProjection::forward(const Pass& pass, ConstTensorView x, Saved& saved, TensorView q) const {
  if (!down_) return out_.forward(pass.execution, pass.dense, x, q);
  saved.raw = pass.arena.allocate({x.rows(), down_->width()});
  down_->forward(pass.execution, pass.dense, x, saved.raw);
  saved.latent = norm_->forward(pass, saved.raw);
  out_.forward(pass.execution, pass.dense, saved.latent.y, q);
}

void QueryProjection::backward(const Pass& pass, ConstTensorView dq, ConstTensorView x, const Saved& saved,
                               TensorView dx, ops::Accumulate accumulate) const {
  if (!down_) {
    out_.backward(pass.execution, pass.dense, dq, dx, accumulate);
    out_.weight_gradients(pass.execution, dq, x, pass.dense_gradient);
    return;
  }
  const ArenaScope scope(pass.arena);
  const TensorView dlatent = pass.arena.allocate(saved.raw.shape());
  out_.backward(pass.execution, pass.dense, dq, dlatent);
  out_.weight_gradients(pass.execution, dq, saved.latent.y, pass.dense_gradient);
  norm_->backward(pass, dlatent, saved.raw, saved.latent, dlatent, ops::Accumulate::kNo);
  down_->backward(pass.execution, pass.dense, dlatent, dx, accumulate);
  down_->weight_gradients(pass.execution, dlatent, x, pass.dense_gradient);
}

}  // namespace troupe::model
