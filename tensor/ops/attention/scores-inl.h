// What bends one tile of scores: a soft cap, and distance. Included once per instruction set.
#if defined(TROUPE_TENSOR_OPS_ATTENTION_SCORES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TROUPE_TENSOR_OPS_ATTENTION_SCORES_INL_H_
#undef TROUPE_TENSOR_OPS_ATTENTION_SCORES_INL_H_
#else
#define TROUPE_TENSOR_OPS_ATTENTION_SCORES_INL_H_
#endif

#include <numbers>

#include <hwy/contrib/math/math-inl.h>

#include "tensor/ops/attention/attention_inputs.h"
#include "tensor/ops/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {

/// scores: [keys, kAttentionTile], become cap * tanh(score / cap); slopes: the same shape, 1 - tanh², or
/// null.
inline HWY_NOINLINE void cap_scores(float cap, std::int64_t keys, float* scores, float* slopes) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto one = hn::Set(d, 1.0F);
  for (std::int64_t i = 0; i < keys * kAttentionTile; i += lanes) {
    const auto bent = hn::Tanh(d, hn::Mul(hn::LoadU(d, scores + i), hn::Set(d, 1.0F / cap)));
    hn::StoreU(hn::Mul(bent, hn::Set(d, cap)), d, scores + i);
    if (slopes != nullptr) hn::StoreU(hn::NegMulAdd(bent, bent, one), d, slopes + i);
  }
}

/// scores: [keys, kAttentionTile], keys from position `key`, fall by `slope` for every position between.
inline HWY_NOINLINE void lower_by_distance(const QueryTile& tile, std::int64_t key, float slope,
                                           float* scores) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  float own[kAttentionTile];
  for (std::int64_t i = 0; i < kAttentionTile; ++i) own[i] = static_cast<float>(tile.begin + i);
  const std::int64_t keys = tile.keys_of_tile(key);
  for (std::int64_t i = 0; i < keys; ++i) {
    const auto position = hn::Set(d, static_cast<float>(key + i));
    for (std::int64_t j = 0; j < kAttentionTile; j += lanes) {
      float* score = scores + i * kAttentionTile + j;
      const auto distance = hn::Sub(position, hn::LoadU(d, own + j));
      hn::StoreU(hn::MulAdd(distance, hn::Set(d, slope), hn::LoadU(d, score)), d, score);
    }
  }
}

/// values *= factors.  Both: [keys, kAttentionTile]
inline HWY_NOINLINE void scale_tile(std::int64_t keys, const float* factors, float* values) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t i = 0; i < keys * kAttentionTile; i += lanes)
    hn::StoreU(hn::Mul(hn::LoadU(d, values + i), hn::LoadU(d, factors + i)), d, values + i);
}

/// The slope of a head in powers of two.
inline float log2_slope(const AttentionShape& shape, std::int64_t head) {
  return static_cast<float>(std::numbers::log2e * alibi_slope(head, shape.heads));
}

}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
