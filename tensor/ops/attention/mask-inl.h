// The causal and document mask of one tile of scores. Included once per instruction set.
#if defined(TROUPE_TENSOR_OPS_ATTENTION_MASK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TROUPE_TENSOR_OPS_ATTENTION_MASK_INL_H_
#undef TROUPE_TENSOR_OPS_ATTENTION_MASK_INL_H_
#else
#define TROUPE_TENSOR_OPS_ATTENTION_MASK_INL_H_
#endif

#include <limits>

#include "tensor/ops/attention/attention_inputs.h"
#include "tensor/ops/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {

/// sees() of whole distances. A quotient that is whole is exact, and no other times the stride is the
/// distance.
template <class D, class V>
hn::Mask<D> is_in_stride(D d, const QueryTile& tile, V distance) {
  const auto stride = hn::Set(d, static_cast<float>(tile.stride));
  const auto near = hn::Lt(distance, hn::Set(d, static_cast<float>(tile.window)));
  return hn::Or(near, hn::Eq(hn::Mul(hn::Floor(hn::Div(distance, stride)), stride), distance));
}

/// Scores that a query may not see become minus infinity.
///   scores: [keys, kAttentionTile], keys from position `key`
inline HWY_NOINLINE void mask_scores(const QueryTile& tile, std::int64_t key, float* scores) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  float first[kAttentionTile];  // positions, exact below 2^24
  float own[kAttentionTile];
  for (std::int64_t i = 0; i < kAttentionTile; ++i) {
    first[i] = static_cast<float>(tile.first_visible[i < tile.count ? i : tile.count - 1]);
    own[i] = static_cast<float>(tile.begin + i);
  }
  const auto hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  const std::int64_t keys = tile.keys_of_tile(key);
  for (std::int64_t i = 0; i < keys; ++i) {
    const auto position = hn::Set(d, static_cast<float>(key + i));
    for (std::int64_t j = 0; j < kAttentionTile; j += lanes) {
      const auto query = hn::LoadU(d, own + j);
      auto visible = hn::And(hn::Le(hn::LoadU(d, first + j), position), hn::Le(position, query));
      if (tile.stride > 0) visible = hn::And(visible, is_in_stride(d, tile, hn::Sub(query, position)));
      float* score = scores + i * kAttentionTile + j;
      hn::StoreU(hn::IfThenElse(visible, hn::LoadU(d, score), hidden), d, score);
    }
  }
}

}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
