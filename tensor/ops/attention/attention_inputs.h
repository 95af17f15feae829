#pragma once
#include <cstdint>
#include <span>

#include "tensor/ops/attention/attention.h"
#include "tensor/ops/matrix.h"

namespace troupe::ops {

/// Queries and keys of one tile. Part of the arithmetic: another size gives other bits.
inline constexpr std::int64_t kAttentionTile = 64;
/// Bound of the tiles that a thread keeps on its stack.
inline constexpr std::int64_t kMaxHeadDim = 256;

/// What forward and backward read.
struct AttentionInputs {
  AttentionShape shape;
  Matrix<const float> q, k, v;
  std::span<const std::int32_t> first_visible;
  std::span<const float> sinks;  // [heads], or none
};

/// Throws kInternal naming the operand that does not fit the shape, or a mask that looks ahead or back.
AttentionInputs checked_attention_inputs(const AttentionShape& shape, const ConstTensorView& q,
                                         const ConstTensorView& k, const ConstTensorView& v,
                                         const ConstTensorView& first_visible, const ConstTensorView& sinks);

/// Throws kInternal on what a device's kernels do not compute.
void check_on_device(const AttentionShape& shape);

/// Factor on scores in powers of two.
float log2_scale(const AttentionShape& shape);

/// Up to kAttentionTile queries of one head, and the keys that they may see.
struct QueryTile {
  std::int64_t begin;                 // position of the first query in its sequence
  std::int64_t count;                 // queries
  std::int64_t first_row;             // of q: the token of the first query
  std::int64_t keys_row;              // of k and v: the token at position 0
  std::int64_t keys_begin;            // position of the first key tile
  const std::int32_t* first_visible;  // of the tile's queries
  std::int64_t window;                // as AttentionShape's
  std::int64_t stride;

  QueryTile(const AttentionInputs& inputs, std::int64_t sequence, std::int64_t position);
  [[nodiscard]] std::int64_t keys_end() const { return begin + count; }
  /// Keys of the tile that starts at `key`.
  [[nodiscard]] std::int64_t keys_of_tile(std::int64_t key) const;
  /// Some query does not see some key of the tile that starts at `key`.
  [[nodiscard]] bool needs_mask(std::int64_t key) const;
  /// A stride leaves out the whole tile that starts at `key`.
  [[nodiscard]] bool skips(std::int64_t key) const;
};

/// What weights are multiplied with under dropout: 0, or 1 over what is left. The same in every pass.
///   factors: [keys, kAttentionTile], keys from position `key`; head: of the query
void fill_dropout(const AttentionShape& shape, const QueryTile& tile, std::int64_t head, std::int64_t key,
                  float* factors);

}  // namespace troupe::ops
