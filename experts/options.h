#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/fields.h"

namespace troupe::experts {

enum class Score { kSoftmax, kSigmoid };
inline constexpr std::array<std::string_view, 2> kScoreNames{"softmax", "sigmoid"};

enum class Selection { kTopK };
inline constexpr std::array<std::string_view, 1> kSelectionNames{"top_k"};

struct RouterOptions {
  Score score = Score::kSigmoid;
  Selection selection = Selection::kTopK;
  bool softmax_after_topk = false;  // select on logits, softmax over the chosen ones only
  bool normalize_weights = true;    // chosen weights divided by their sum
  double scale = 1.0;               // on the chosen weights (routed_scaling_factor)
  double z_loss = 0.0;              // coefficient of mean logsumexp(z)^2 (arXiv 2202.08906)
  double init_scale = 1.0;          // factor on the router's initial standard deviation
};

enum class BalancerKind { kNone, kSign };
inline constexpr std::array<std::string_view, 2> kBalancerNames{"none", "sign"};

struct BalancerOptions {
  BalancerKind kind = BalancerKind::kSign;
  Schedule rate{0.01, 0.001};
};

enum class AuxScope { kMicro, kGlobal };
inline constexpr std::array<std::string_view, 2> kAuxScopeNames{"micro", "global"};

enum class FrequencySource { kActual, kUnbiased };
inline constexpr std::array<std::string_view, 2> kFrequencySourceNames{"actual", "unbiased"};

struct AuxLossOptions {
  AuxScope scope = AuxScope::kGlobal;
  Schedule coefficient{0.01};
  FrequencySource f_source = FrequencySource::kActual;
};

enum class CapacityKind { kDropless };
inline constexpr std::array<std::string_view, 1> kCapacityNames{"dropless"};

struct CapacityOptions {
  CapacityKind kind = CapacityKind::kDropless;
};

/// `model.moe`. A model without experts has first_dense_layers = layers.
struct MoeOptions {
  std::int64_t first_dense_layers = 1;
  std::int64_t experts = 16;        // N, routed, per layer
  std::int64_t top_k = 2;           // k, chosen per token
  std::int64_t expert_size = 256;   // width of one expert's FFN
  std::int64_t shared_experts = 1;  // Ns: one FFN of width Ns * expert_size, always on
  RouterOptions router;
  BalancerOptions balancer;
  std::vector<AuxLossOptions> aux_loss;
  CapacityOptions capacity;
};

void describe(Fields& fields, RouterOptions& options);
void describe(Fields& fields, BalancerOptions& options);
void describe(Fields& fields, AuxLossOptions& options);
void describe(Fields& fields, CapacityOptions& options);
void describe(Fields& fields, MoeOptions& options);

}  // namespace troupe::experts
