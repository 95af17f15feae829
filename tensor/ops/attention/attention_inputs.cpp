#include "tensor/ops/attention/attention_inputs.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "base/index.h"
#include "base/random.h"
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

void check_on_device(const AttentionShape& shape) {
  TROUPE_CHECK(shape.stride == 0 && shape.dropout.rate == 0.0,
               "attention: strides and dropout are computed on the host only");
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
      first_visible(inputs.first_visible.data() + first_row),
      window(inputs.shape.window),
      stride(inputs.shape.stride) {
  keys_begin = first_visible[0] / kAttentionTile * kAttentionTile;
}

std::int64_t QueryTile::keys_of_tile(std::int64_t key) const {
  return std::min(kAttentionTile, keys_end() - key);
}

bool QueryTile::needs_mask(std::int64_t key) const {
  const bool leaves_out = stride > 0 && begin + count - 1 - key >= window;
  return leaves_out || key + keys_of_tile(key) - 1 > begin || first_visible[count - 1] > key;
}

bool QueryTile::skips(std::int64_t key) const {
  const std::int64_t nearest = begin - (key + keys_of_tile(key) - 1);
  const std::int64_t farthest = begin + count - 1 - key;
  return stride > 0 && nearest >= window && nearest > 0 && farthest / stride * stride < nearest;
}

void fill_dropout(const AttentionShape& shape, const QueryTile& tile, std::int64_t head, std::int64_t key,
                  float* factors) {
  constexpr std::int64_t kWords = 4;  // of one index: for as many keys
  static_assert(kAttentionTile % kWords == 0);
  const AttentionDropout& dropout = shape.dropout;
  const Random random(dropout.seed, RandomPurpose::kAttentionDropout, dropout.layer);
  const auto least = static_cast<std::uint32_t>(dropout.rate * 0x1p32);
  const auto kept = static_cast<float>(1.0 / (1.0 - dropout.rate));
  const std::int64_t indices = (shape.length + kWords - 1) / kWords;  // of one query and head
  const std::int64_t keys = tile.keys_of_tile(key);
  for (std::int64_t i = 0; i < kAttentionTile; ++i) {
    const std::int64_t query = dropout.first_token + tile.first_row + std::min(i, tile.count - 1);
    const std::int64_t first = (query * shape.heads + head) * indices + key / kWords;
    for (std::int64_t j = 0; j < keys; j += kWords) {
      const auto words = random.words(static_cast<std::uint64_t>(first + j / kWords));
      for (std::int64_t k = j; k < std::min(keys, j + kWords); ++k)
        factors[k * kAttentionTile + i] = words[at(k - j)] < least ? 0.0F : kept;
    }
  }
}

}  // namespace troupe::ops
