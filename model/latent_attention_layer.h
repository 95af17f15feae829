#pragma once
#include <memory>
#include <optional>

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

/// Multi-head latent attention (arXiv 2405.04434): keys and values of all heads are made from one normed
/// latent of every token, and a head's key has a rotated part that all heads share; queries may come from a
/// latent, too. A head's channels are the rotated ones, then the others. With d = rope_dim + nope_dim:
///   q_proj        [heads * d, hidden], or with query_rank q_down_proj [query_rank, hidden], q_norm
///   [query_rank],
///                 q_up_proj [heads * d, query_rank]
///   kv_down_proj  [rope_dim + kv_rank, hidden]: the shared key, then the latent; kv_norm [kv_rank]
///   kv_up_proj    [heads * (nope_dim + value_dim), kv_rank]: all heads' keys, then all heads' values
///   out_proj      [hidden, heads * value_dim]
/// Attention itself runs with values that are filled up with zeros to d. Of sequences that are written on
/// only the rotated key and the latent of every token are kept: heads' keys and values are never made, as
/// what makes them is applied to queries and to what attention gives (the paper's section 2.1.2).
class LatentAttentionLayer final : public Mixer {
 public:
  struct Saved final : Mixer::Saved {
    QueryProjection::Saved query;
    TensorView latent_raw;  // [tokens, kv_rank], before its norm
    layers::NormLayer::Saved latent;
    TensorView q, k, v;      // [tokens, heads * d], as attention sees them; k, v not with a cache
    TensorView filled_out;   // the same, of attention; not with a cache
    TensorView out;          // [tokens, heads * value_dim]
    OutputGate::Saved gate;  // of `out`, if there is one
    TensorView log_sum_exp;  // [sequences * heads, sequence_length]
  };

  static void declare(layers::Declaration& declaration, const LayerSpec& layer, std::int64_t hidden_size);

  LatentAttentionLayer(const LayerSpec& layer, const MixerContext& context);

  [[nodiscard]] std::unique_ptr<Mixer::Saved> make_saved() const override {
    return std::make_unique<Saved>();
  }
  void forward(const Pass& pass, ConstTensorView x, Mixer::Saved& saved, TensorView y) const override;
  void backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Mixer::Saved& saved,
                TensorView dx) const override;

 private:
  void make_keys_and_values(const Pass& pass, ConstTensorView x, Saved& saved) const;
  void backward_keys_and_values(const Pass& pass, ConstTensorView dk, ConstTensorView dv, ConstTensorView x,
                                const Saved& saved, TensorView dx) const;
  void turn(const Pass& pass, std::int64_t head_dim, ops::RopeDirection direction, TensorView x) const;
  void fill_up(const Pass& pass, ConstTensorView values, TensorView filled) const;
  void attend(const Pass& pass, ConstTensorView x, Saved& saved) const;
  void attend_cached(const Pass& pass, ConstTensorView x, Saved& saved) const;
  void make_latents(const Pass& pass, ConstTensorView x, Saved& saved) const;
  [[nodiscard]] TensorView rotated_keys(const Pass& pass, ConstTensorView x) const;
  [[nodiscard]] TensorView absorbed_queries(const Pass& pass, ConstTensorView q) const;
  [[nodiscard]] ops::AttentionShape shape(const Pass& pass, std::int64_t tokens) const;
  [[nodiscard]] std::int64_t head_dim() const { return latent_.rope_dim + latent_.nope_dim; }

  AttentionOptions options_;
  LatentOptions latent_;
  std::int64_t layer_;
  double dropout_;
  std::int64_t sequence_length_;
  std::size_t span_;
  const ops::RopeTable* rope_;
  QueryProjection query_;
  layers::Projection key_rope_;  // these two are rows of one matrix,
  layers::Projection kv_down_;
  layers::NormLayer kv_norm_;
  layers::Projection key_up_;  // and these
  layers::Projection value_up_;
  layers::Projection out_;
  std::optional<OutputGate> gate_;
};

}  // namespace troupe::model
