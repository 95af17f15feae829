#pragma once
#include <memory>
#include <optional>
#include <string>

#include "layers/norm_layer.h"
#include "layers/projection.h"
#include "model/mixer.h"
#include "model/options.h"
#include "model/output_gate.h"
#include "model/query_projection.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/rope/rope.h"
#include "tensor/tensor.h"

namespace troupe::model {

/// Grouped-query attention with rotary positions, and optionally norms of queries and keys before the
/// rotation (arXiv 2305.13245, 2302.05442).
class AttentionLayer final : public Mixer {
 public:
  struct Saved final : Mixer::Saved {
    QueryProjection::Saved query;
    TensorView q_raw, k_raw;  // [tokens, (kv_)heads * head_dim], before norm; with qk_norm only
    layers::NormLayer::Saved q_norm, k_norm;  // with qk_norm only
    TensorView q, k, v;                       // as attention sees them
    TensorView temperature;                   // [tokens], what queries were multiplied with; if any
    TensorView out;                           // [tokens, heads * head_dim]
    OutputGate::Saved gate;                   // of these outputs, if there is one
    TensorView log_sum_exp;                   // [sequences * heads, sequence_length]
  };

  static void declare(layers::Declaration& declaration, const LayerSpec& layer, std::int64_t hidden_size);

  AttentionLayer(const LayerSpec& layer, const MixerContext& context);

  [[nodiscard]] std::unique_ptr<Mixer::Saved> make_saved() const override {
    return std::make_unique<Saved>();
  }
  void forward(const Pass& pass, ConstTensorView x, Mixer::Saved& saved, TensorView y) const override;
  /// saved.q, saved.k stay as they are.
  void backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Mixer::Saved& saved,
                TensorView dx) const override;

 private:
  [[nodiscard]] TensorView prepare(const Pass& pass, TensorView raw,
                                   const std::optional<layers::NormLayer>& norm,
                                   layers::NormLayer::Saved& normed) const;
  void prepare_backward(const Pass& pass, ConstTensorView raw, const std::optional<layers::NormLayer>& norm,
                        const layers::NormLayer::Saved& normed, TensorView gradient) const;
  void turn(const Pass& pass, ops::RopeDirection direction, TensorView x) const;
  [[nodiscard]] QueryProjection make_query(const LayerSpec& layer, const ParameterTable& table) const;
  [[nodiscard]] layers::Projection part(const LayerSpec& layer, const ParameterTable& table,
                                        std::int64_t first_head, std::int64_t heads) const;
  void attend(const Pass& pass, std::int64_t tokens, Saved& saved, TensorView out) const;
  [[nodiscard]] ops::AttentionShape shape(const Pass& pass, std::int64_t tokens) const;
  [[nodiscard]] Shape rows_of_norm(std::int64_t tokens, std::int64_t width) const;

  AttentionOptions options_;
  std::int64_t layer_;
  double dropout_;
  std::int64_t sequence_length_;
  std::size_t span_;
  const ops::RopeTable* rope_;
  QueryProjection query_;  // these three are rows of one matrix, or the last two are
  layers::Projection key_;
  layers::Projection value_;
  layers::Projection out_;
  std::optional<layers::NormLayer> q_norm_;
  std::optional<layers::NormLayer> k_norm_;
  std::optional<ParameterHandle> sinks_;
  std::optional<OutputGate> gate_;
};

}  // namespace troupe::model
