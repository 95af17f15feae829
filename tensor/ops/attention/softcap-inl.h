// The soft cap of one tile of scores. Included once per instruction set.
#if defined(TROUPE_TENSOR_OPS_ATTENTION_SOFTCAP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TROUPE_TENSOR_OPS_ATTENTION_SOFTCAP_INL_H_
#undef TROUPE_TENSOR_OPS_ATTENTION_SOFTCAP_INL_H_
#else
#define TROUPE_TENSOR_OPS_ATTENTION_SOFTCAP_INL_H_
#endif

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

}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
