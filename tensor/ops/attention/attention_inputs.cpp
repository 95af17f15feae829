#include "tensor/ops/attention/attention_inputs.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "tensor/ops/checks.h"

namespace troupe::ops {
namespace {

void check_mask(const AttentionShape& shape, std::span<const std::int32_t> first_visible) {
  for (std::size_t token = 0; token < first_visible.size(); ++token) {
    const auto position = static_cast<std::int64_t>(token) % shape.length;
    const std::int32_t previous = position == 0 ? 0 : first_visible[token - 1];
    TROUPE_CHECK(first_visible[token] >= previous && first_visible[token] <= position,
                 "attention: first_visible is {} at position {}, after {}", first_visible[token], position,
                 previous);
  }
}

}  // namespace

AttentionInputs checked_attention_inputs(const AttentionShape& shape, const ConstTensorView& q,
                                         const ConstTensorView& k, const ConstTensorView& v,
                                         const ConstTensorView& first_visible, const ConstTensorView& sinks) {
  TROUPE_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0,
               "attention: {} heads share {} key/value heads", shape.heads, shape.kv_heads);
  TROUPE_CHECK(shape.head_dim > 0 && shape.head_dim <= kMaxHeadDim,
               "attention: heads of {} channels, at most {}", shape.head_dim, kMaxHeadDim);
  const std::int64_t tokens = shape.sequences * shape.length;
  check_matrix("attention: q", q, tokens, shape.heads * shape.head_dim);
  check_matrix("attention: k", k, tokens, shape.kv_heads * shape.head_dim);
  check_matrix("attention: v", v, tokens, shape.kv_heads * shape.head_dim);
  const auto mask = integers("attention: first_visible", first_visible, tokens);
  check_mask(shape, mask);
  const auto logits =
      sinks.data() == nullptr ? std::span<const float>() : reals("attention: sinks", sinks, shape.heads);
  return {shape, matrix(q), matrix(k), matrix(v), mask, logits};
}

double alibi_slope(std::int64_t head, std::int64_t heads) {
  const auto power = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(heads)));
  const auto slope = [](std::int64_t number, std::int64_t of) {
    return std::exp2(-8.0 * static_cast<double>(number) / static_cast<double>(of));
  };
  return head < power ? slope(head + 1, power) : slope(2 * (head - power) + 1, 2 * power);
}

float log2_scale(const AttentionShape& shape) {
  if (shape.scale > 0.0) return static_cast<float>(std::numbers::log2e * shape.scale);
  return static_cast<float>(std::numbers::log2e / std::sqrt(static_cast<double>(shape.head_dim)));
}

QueryTile::QueryTile(const AttentionInputs& inputs, std::int64_t sequence, std::int64_t position)
    : begin(position),
      count(std::min(kAttentionTile, inputs.shape.length - position)),
      first_row(sequence * inputs.shape.length + position),
      keys_row(sequence * inputs.shape.length),
      first_visible(inputs.first_visible.data() + first_row) {
  keys_begin = first_visible[0] / kAttentionTile * kAttentionTile;
}

std::int64_t QueryTile::keys_of_tile(std::int64_t key) const {
  return std::min(kAttentionTile, keys_end() - key);
}

bool QueryTile::needs_mask(std::int64_t key) const {
  return key + keys_of_tile(key) - 1 > begin || first_visible[count - 1] > key;
}

}  // namespace troupe::ops
