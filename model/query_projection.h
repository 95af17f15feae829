#pragma once
#include <optional>
#include <string>

#include "layers/norm_layer.h"
#include "layers/projection.h"
#include "model/layer_spec.h"
#include "tensor/tensor.h"

namespace troupe::model {

/// Norms inside a mixer: as the model's, but without a bias, and an RMSNorm where the model has a layer norm.
[[nodiscard]] layers::NormForm inner_norm_form(const LayerSpec& layer);

/// Queries of every token: one projection, or through a normed latent of fewer channels (arXiv 2405.04434,
/// 2507.19427).
class QueryProjection {
 public:
  struct Saved {
    TensorView raw;  // [tokens, rank], before the norm; of a latent only, as the next
    layers::NormLayer::Saved latent;
  };

  /// q_down_proj [rank, hidden], `norm` [rank] and q_up_proj [width, rank].
  static void declare_latent(layers::Declaration& declaration, const LayerSpec& layer,
                             const std::string& norm, std::int64_t rank, std::int64_t width,
                             std::int64_t hidden_size);

  /// Without a latent.
  explicit QueryProjection(layers::Projection projection) : out_(std::move(projection)) {}
  /// What declare_latent() declared.
  QueryProjection(const LayerSpec& layer, const ParameterTable& table, const std::string& norm);

  [[nodiscard]] std::int64_t width() const { return out_.width(); }
  /// x: [tokens, hidden]; q: [tokens, width], overwritten
  void forward(const Pass& pass, ConstTensorView x, Saved& saved, TensorView q) const;
  /// dx: [tokens, hidden], overwritten or added to
  void backward(const Pass& pass, ConstTensorView dq, ConstTensorView x, const Saved& saved, TensorView dx,
                ops::Accumulate accumulate) const;

 private:
  std::optional<layers::Projection> down_;
  std::optional<layers::NormLayer> norm_;
  layers::Projection out_;
};

}  // namespace troupe::model
