#include "model/activation_memory.h"

#include <algorithm>

#include "experts/router/selector.h"
#include "model/parameters.h"

namespace troupe::model {
namespace {

constexpr std::int64_t kHeadRows = 256;           // of logits that exist at once
constexpr std::int64_t kScratchBytes = 64 << 20;  // of ops, and alignment

struct RoutedRows {
  std::int64_t sent;
  std::int64_t received;
  std::int64_t passing;  // through this rank on their way to another, in a hierarchical exchange
};

RoutedRows routed_rows(const experts::MoeOptions& moe, std::int64_t tokens, std::int64_t group_size,
                       std::int64_t local_experts) {
  if (moe.router.selection == experts::Selection::kExpertChoice) {
    const std::int64_t each = experts::expert_choice_size(moe, tokens);
    return {moe.experts * each, group_size * local_experts * each, group_size * moe.experts * each};
  }
  return {tokens * moe.top_k, group_size * tokens * std::min(moe.top_k, local_experts),
          group_size * tokens * moe.top_k};
}

/// Floats that all exchanges of a layer's backward need while rows travel: packed for a node, for
/// another one, and as they arrive.
std::int64_t exchange_floats(const ModelOptions& options, const RoutedRows& rows) {
  constexpr std::int64_t kExchanges = 3;
  return kExchanges * (rows.sent + 2 * rows.passing + rows.received) * options.hidden_size;
}

/// Floats that one layer keeps for backward.
std::int64_t kept_floats(const ModelOptions& options, std::int64_t layer, std::int64_t tokens,
                         const RoutedRows& rows) {
  const auto& attention = options.attention;
  const std::int64_t query_width = attention.heads * (attention.head_dim + 1);
  const std::int64_t key_width = attention.kv_heads * (attention.head_dim + 1);
  const std::int64_t common =
      tokens * (5 * options.hidden_size + 3 * query_width + 3 * key_width + attention.heads);
  if (!is_moe_layer(options, layer)) return common + 3 * tokens * options.ffn.intermediate_size;
  const auto& moe = options.moe;
  const std::int64_t slots = experts::make_selector(moe, layer)->slots(tokens);
  const std::int64_t logits = moe.router.selection == experts::Selection::kNoisyTopK ? 3 : 1;
  const std::int64_t router =
      tokens * ((logits + 1) * moe.choices() + 1) + moe.choices() + 8 * tokens * slots;
  const std::int64_t routed =
      rows.sent * options.hidden_size + rows.received * (options.hidden_size + 3 * moe.expert_size);
  const std::int64_t shared_gate = moe.shared_gate ? tokens * (options.hidden_size + 2) : 0;
  return common + router + routed + shared_gate + 3 * tokens * moe.shared_experts * moe.expert_size;
}

/// Floats of the router for the duration of its forward or backward: gradients of scores, logits and
/// noise; the jittered input and its gradient; what a selection over the microbatch sorts.
std::int64_t router_floats(const ModelOptions& options, std::int64_t tokens) {
  const std::int64_t choices = options.moe.choices();
  const std::int64_t losses =
      choices * (2 * options.hidden_size + choices) + 3 * tokens * (options.moe.top_k + 1);
  return tokens * (4 * choices + 2 * options.hidden_size + 2) + losses;
}

/// Floats that a layer's forward or backward needs for its own duration.
std::int64_t temporary_floats(const ModelOptions& options, std::int64_t vocab_size, std::int64_t tokens,
                              const RoutedRows& rows) {
  const auto& attention = options.attention;
  const std::int64_t heads = (attention.heads + attention.kv_heads) * attention.head_dim;
  const std::int64_t routed = (4 * rows.sent + 3 * rows.received) * options.hidden_size +
                              rows.received * options.moe.expert_size + router_floats(options, tokens);
  const std::int64_t dense = kHeadRows * std::max(options.ffn.intermediate_size, vocab_size);
  return tokens * (5 * options.hidden_size + 4 * heads + 1) + routed + exchange_floats(options, rows) + dense;
}

}  // namespace

std::size_t activation_bytes_bound(const ModelOptions& options, const TransformerShape& shape,
                                   std::int64_t group_size, std::int64_t local_experts) {
  const RoutedRows rows = routed_rows(options.moe, shape.max_tokens, group_size, local_experts);
  const std::int64_t between_blocks = shape.max_tokens * options.hidden_size;
  std::int64_t most = 0;
  std::int64_t all = 0;
  for (std::int64_t layer = 0; layer < options.layers; ++layer) {
    const std::int64_t kept = kept_floats(options, layer, shape.max_tokens, rows);
    most = std::max(most, kept);
    all += kept;
  }
  const std::int64_t kept = shape.recompute ? most + (options.layers + 1) * between_blocks : all;
  const std::int64_t floats = kept + temporary_floats(options, shape.vocab_size, shape.max_tokens, rows);
  return static_cast<std::size_t>(floats) * sizeof(float) + static_cast<std::size_t>(kScratchBytes);
}

}  // namespace troupe::model
