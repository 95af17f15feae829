#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layout/placement.h"
#include "model/layer_spec.h"
#include "model/options.h"
#include "tensor/parameter.h"

namespace troupe::model {

/// Every parameter of the global model, each expert on its own; the same for every layout.
/// Linear weights are [out, in]. Names (LL: layer, at least two digits):
///   embedding/weight                     [vocab, hidden], also the head's when tied
///   embedding/positions                  [embedding.positions, hidden]
///   layers/LL/attention_norm/weight      [hidden]; bias with norm.bias, as every norm; without one before
///   it: none layers/LL/attention/qkv_proj         [(heads + 2 kv_heads) * head_dim, hidden]: q rows, k rows,
///   v rows layers/LL/attention/{qkv,out}_bias   [rows of the projection], with qkv_bias, out_bias
///   layers/LL/attention/{q,k}_norm       [head_dim], with qk_norm: full [(kv_)heads * head_dim]
///   layers/LL/attention/sinks            [heads]
///   layers/LL/attention/gate_{proj,bias} [heads * head_dim (mla: value_dim), hidden], with output_gate
///   layers/LL/attention/…                with query_rank kv_proj for qkv_proj, and q_down_proj [rank,
///   hidden],
///                                        q_latent_norm [rank], q_up_proj [heads * head_dim, rank]
///   layers/LL/attention/out_proj         [hidden, heads * head_dim]
///   layers/LL/attention/…                of kind mla: model/latent_attention_layer.h
///   layers/LL/attention_post_norm/…      where norm.placement has one after the mixer, as ffn_post_norm
///   layers/LL/ffn_norm/weight            [hidden]; none where the placement is parallel
///   layers/LL/ffn/{gate_up,down}_proj    dense layers: [2 * intermediate, hidden] (gate rows first),
///                                        [hidden, intermediate]; an activation without a gate has
///                                        up_proj [intermediate, hidden] for gate_up_proj
///   layers/LL/ffn/{gate_up,up,down}_bias [rows of the projection], with ffn.bias
///   layers/LL/router/weight              [choices, hidden]
///   layers/LL/router/linear_bias         [choices], with router.linear_bias; starts at 0
///   layers/LL/router/noise_weight        [choices, hidden], with noisy_top_k; starts at 0
///   layers/LL/experts/…                  the same as ffn/ for one expert, of width expert_size
///   layers/LL/shared_experts/…           the same, of width shared_experts * expert_size
///   layers/LL/shared_experts/gate_weight [1, hidden], with shared_gate
///   final_norm/weight, head/weight       [hidden], [vocab, hidden] (untied); head/bias [vocab], with
///   logits.bias reward_head/weight                   [1, hidden], in place of a head, with objective.kind:
///   reward; starts at 0
/// No weight decay on embeddings, norms and biases, which begin at 0.
[[nodiscard]] std::vector<ParameterSpec> parameter_specs(const ModelOptions& options,
                                                         std::int64_t vocab_size);

/// The specs of one kind; for kExpert only the experts [first_expert, last_expert).
[[nodiscard]] std::vector<ParameterSpec> dense_specs(const std::vector<ParameterSpec>& all);
[[nodiscard]] std::vector<ParameterSpec> expert_specs(const std::vector<ParameterSpec>& all,
                                                      std::int64_t first_expert, std::int64_t last_expert);
/// The experts that a position of the group holds. placement: [MoE layers]
[[nodiscard]] std::vector<ParameterSpec> expert_specs(const std::vector<ParameterSpec>& all,
                                                      const layout::Placement& placement, int position);

}  // namespace troupe::model
