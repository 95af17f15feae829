#pragma once
#include <optional>
#include <string>

#include "layers/parameter_handle.h"
#include "layers/pass.h"
#include "layers/projection.h"
#include "model/layer_spec.h"
#include "model/options.h"
#include "model/rope_tables.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/rope/rope.h"
#include "tensor/tensor.h"

namespace troupe::model {

/// Grouped-query attention with RoPE and optional per-head norm of queries and keys before it
/// (arXiv 2305.13245, 2302.05442).
class AttentionLayer {
 public:
  struct Saved {
    TensorView q_raw, k_raw;          // [tokens, (kv_)heads * head_dim], before norm; with qk_norm only
    TensorView q_inv_rms, k_inv_rms;  // [tokens * (kv_)heads]; with qk_norm only
    TensorView q, k, v;               // as attention sees them
    TensorView out;                   // [tokens, heads * head_dim]
    TensorView log_sum_exp;           // [sequences * heads, sequence_length]
  };

  static void declare(layers::Declaration& declaration, const AttentionOptions& options,
                      std::int64_t hidden_size);

  /// Parameters begin with layer.prefix + "attention/". `rope` must outlive the layer.
  AttentionLayer(const LayerSpec& layer, std::int64_t sequence_length, RopeTables& rope,
                 const ParameterTable& table);

  /// x, y: [tokens, hidden]; y overwritten
  void forward(const Pass& pass, ConstTensorView x, Saved& saved, TensorView y) const;
  /// dx overwritten; saved.q, saved.k stay as they are.
  void backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                TensorView dx) const;

 private:
  void prepare(const Pass& pass, TensorView projected, const std::optional<ParameterHandle>& norm,
               TensorView inv_rms, TensorView prepared) const;
  void prepare_backward(const Pass& pass, ConstTensorView raw, const std::optional<ParameterHandle>& norm,
                        ConstTensorView inv_rms, TensorView gradient) const;
  [[nodiscard]] layers::Projection part(const LayerSpec& layer, const ParameterTable& table,
                                        std::int64_t first_head, std::int64_t heads) const;
  [[nodiscard]] ops::AttentionShape shape(std::int64_t tokens) const;
  [[nodiscard]] TensorView by_head(TensorView view) const;
  [[nodiscard]] ConstTensorView by_head(ConstTensorView view) const;

  AttentionOptions options_;
  double eps_;
  std::int64_t sequence_length_;
  const ops::RopeTable* rope_;
  layers::Projection query_;  // these three are rows of one matrix
  layers::Projection key_;
  layers::Projection value_;
  layers::Projection out_;
  std::optional<ParameterHandle> q_norm_;
  std::optional<ParameterHandle> k_norm_;
};

}  // namespace troupe::model
