#include "model/activation_memory.h"

#include <algorithm>

#include "model/parameters.h"

namespace troupe::model {
namespace {

constexpr std::int64_t kHeadRows = 256;           // of logits that exist at once
constexpr std::int64_t kScratchBytes = 64 << 20;  // of ops, and alignment

struct RoutedRows {
  std::int64_t sent;
  std::int64_t received;
};

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
  const std::int64_t router = tokens * (2 * moe.experts + 1) + moe.experts + 4 * rows.sent;
  const std::int64_t routed =
      rows.sent * options.hidden_size + rows.received * (options.hidden_size + 3 * moe.expert_size);
  return common + router + routed + 3 * tokens * moe.shared_experts * moe.expert_size;
}

/// Floats that a layer's forward or backward needs for its own duration.
std::int64_t temporary_floats(const ModelOptions& options, std::int64_t vocab_size, std::int64_t tokens,
                              const RoutedRows& rows) {
  const auto& attention = options.attention;
  const std::int64_t heads = (attention.heads + attention.kv_heads) * attention.head_dim;
  const std::int64_t routed = (3 * rows.sent + 3 * rows.received) * options.hidden_size +
                              rows.received * options.moe.expert_size + 2 * tokens * options.moe.experts;
  const std::int64_t dense = kHeadRows * std::max(options.ffn.intermediate_size, vocab_size);
  return tokens * (4 * options.hidden_size + 4 * heads) + routed + dense;
}

}  // namespace

std::size_t activation_bytes_bound(const ModelOptions& options, std::int64_t vocab_size,
                                   std::int64_t max_tokens, std::int64_t group_size,
                                   std::int64_t local_experts) {
  const RoutedRows rows{max_tokens * options.moe.top_k,
                        group_size * max_tokens * std::min(options.moe.top_k, local_experts)};
  std::int64_t floats = temporary_floats(options, vocab_size, max_tokens, rows);
  for (std::int64_t layer = 0; layer < options.layers; ++layer)
    floats += kept_floats(options, layer, max_tokens, rows);
  return static_cast<std::size_t>(floats) * sizeof(float) + static_cast<std::size_t>(kScratchBytes);
}

}  // namespace troupe::model
