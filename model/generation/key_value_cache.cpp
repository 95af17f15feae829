#include "model/generation/key_value_cache.h"

#include <algorithm>

#include "base/error.h"

namespace troupe::model {

KeyValueCache::KeyValueCache(std::int64_t sequences, std::int64_t positions, std::int64_t width,
                             const CachedRows& rows)
    : sequences_(sequences), positions_(positions), rows_(&rows), kept_({sequences * positions, width}) {}

void KeyValueCache::attend(const Execution& execution, ops::CachedAttentionShape shape,
                           const CachedPass& pass, TensorView out) {
  const std::int64_t rows = pass.q.rows();
  const std::int64_t key_width = shape.kv_heads * shape.key_dim;
  const std::int64_t value_width = shape.kv_heads * shape.value_dim;
  const ConstTensorView kept = kept_;
  shape.capacity = positions_;
  for (std::int64_t begin = 0; begin < rows;) {
    const std::int64_t count = together(pass, begin);
    put(pass, begin, count);
    ops::cached_attention(execution, shape, pass.q.rows(begin, count), kept.columns(0, key_width),
                          kept.columns(kept.columns() - value_width, value_width),
                          rows_->sequences.rows(begin, count), pass.positions.rows(begin, count),
                          pass.first_visible.rows(begin, count), out.rows(begin, count), pass.sinks);
    begin += count;
  }
}

/// How many rows from `begin` on can be kept before the first of them attends: what it sees must not be
/// overwritten by a later one of its sequence.
std::int64_t KeyValueCache::together(const CachedPass& pass, std::int64_t begin) const {
  const std::int32_t* sequences = rows_->sequences.i32();
  std::int64_t first = begin;  // of the present sequence
  std::int64_t end = begin + 1;
  for (; end < pass.q.rows(); ++end) {
    if (sequences[end] != sequences[first]) first = end;
    if (pass.positions.i32()[end] - pass.first_visible.i32()[first] >= positions_) break;
  }
  return end - begin;
}

void KeyValueCache::put(const CachedPass& pass, std::int64_t begin, std::int64_t count) {
  TROUPE_CHECK(pass.first.columns() + pass.second.columns() == kept_.shape()[1] &&
                   rows_->sequences.elements() == pass.q.rows(),
               "a cache of {} gets {} and {} of {} rows", kept_.shape().to_string(),
               pass.first.shape().to_string(), pass.second.shape().to_string(), pass.q.rows());
  for (std::int64_t row = begin; row < begin + count; ++row) {
    const std::int64_t sequence = rows_->sequences.i32()[row];
    const std::int64_t position = pass.positions.i32()[row];
    TROUPE_CHECK(sequence >= 0 && sequence < sequences_ && position >= 0,
                 "position {} of sequence {} in a cache of {}", position, sequence, sequences_);
    float* place = kept_.f32() + (sequence * positions_ + position % positions_) * kept_.shape()[1];
    place = std::copy_n(pass.first.f32() + row * pass.first.row_stride(), pass.first.columns(), place);
    std::copy_n(pass.second.f32() + row * pass.second.row_stride(), pass.second.columns(), place);
  }
}

}  // namespace troupe::model
