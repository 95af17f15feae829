#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/fields.h"

namespace troupe::experts {

enum class Score { kSoftmax, kSigmoid, kSqrtSoftplus };
inline constexpr std::array<std::string_view, 3> kScoreNames{"softmax", "sigmoid", "sqrt_softplus"};

enum class Selection { kTopK, kNoisyTopK, kGshardSecond, kGroupLimited, kExpertChoice, kSinkhorn };
inline constexpr std::array<std::string_view, 6> kSelectionNames{
    "top_k", "noisy_top_k", "gshard_second", "group_limited", "expert_choice", "sinkhorn"};

enum class GroupScore { kMax, kTop2Sum };
inline constexpr std::array<std::string_view, 2> kGroupScoreNames{"max", "top2_sum"};

enum class WeightOn { kOutput, kInput };
inline constexpr std::array<std::string_view, 2> kWeightOnNames{"output", "input"};

struct RouterOptions {
  Score score = Score::kSigmoid;
  Selection selection = Selection::kTopK;
  bool softmax_after_topk = false;  // select on logits, softmax over the chosen ones only
  bool normalize_weights = true;    // chosen weights divided by their sum
  double scale = 1.0;               // on the chosen weights (routed_scaling_factor)
  WeightOn weight_on = WeightOn::kOutput;
  bool linear_bias = false;       // learned, added to the logits (gpt-oss)
  double softcap = 0.0;           // c: logits become c tanh(logit / c) (Grok-2); 0: they do not
  double jitter = 0.0;            // ε: the router's input times U(1-ε, 1+ε), training only (2101.03961)
  std::int64_t zero_experts = 0;  // identity experts without compute that join the router
  std::int64_t groups = 1;        // of experts, for group_limited
  std::int64_t top_groups = 1;    // kept per token
  GroupScore group_score = GroupScore::kTop2Sum;
  std::int64_t sinkhorn_iterations = 8;
  double z_loss = 0.0;      // coefficient of mean logsumexp(z)^2 (arXiv 2202.08906)
  double init_scale = 1.0;  // factor on the router's initial standard deviation
};

enum class BalancerKind { kNone, kSign, kSignCentered, kProportional, kPid, kQuantile };
inline constexpr std::array<std::string_view, 6> kBalancerNames{"none",         "sign", "sign_centered",
                                                                "proportional", "pid",  "quantile"};

struct BalancerOptions {
  BalancerKind kind = BalancerKind::kSign;
  Schedule rate{0.01, 0.001};
  double kp = 0.01;  // pid: gains of the load error, of its bounded sum and of its change
  double ki = 0.01;
  double kd = 0.0;
  double integral_limit = 100.0;  // I_max; ki * I_max is as far as the sum moves the bias
  double routed_per_token = 0.0;  // k_target of `proportional` with zero experts; 0: top_k * N / (N + n)
};

enum class AuxLossKind { kLoadBalance, kImportance, kLoad, kOrthogonal };
inline constexpr std::array<std::string_view, 4> kAuxLossKindNames{"load_balance", "importance", "load",
                                                                   "orthogonal"};

enum class AuxScope { kMicro, kSequence, kGlobal, kRunning, kPrevious };
inline constexpr std::array<std::string_view, 5> kAuxScopeNames{"micro", "sequence", "global", "running",
                                                                "previous"};

enum class FrequencySource { kActual, kUnbiased };
inline constexpr std::array<std::string_view, 2> kFrequencySourceNames{"actual", "unbiased"};

struct AuxLossOptions {
  AuxLossKind kind = AuxLossKind::kLoadBalance;
  AuxScope scope = AuxScope::kGlobal;  // of load_balance
  Schedule coefficient{0.01};
  FrequencySource f_source = FrequencySource::kActual;  // of load_balance
};

enum class CapacityKind { kDropless, kFactor };
inline constexpr std::array<std::string_view, 2> kCapacityNames{"dropless", "factor"};

enum class DropPolicy { kPosition, kScore };
inline constexpr std::array<std::string_view, 2> kDropPolicyNames{"position", "score"};

struct CapacityOptions {
  CapacityKind kind = CapacityKind::kDropless;
  double factor = 1.25;  // an expert takes ceil(k * tokens / N * factor) of a microbatch
  DropPolicy drop_policy = DropPolicy::kScore;
};

/// `model.moe`. A model without experts has first_dense_layers = layers.
struct MoeOptions {
  std::int64_t first_dense_layers = 1;
  std::int64_t last_dense_layers = 0;
  std::int64_t every = 1;           // of the layers between them, each `every`-th has experts
  std::int64_t experts = 16;        // N, routed, per layer
  std::int64_t top_k = 2;           // k, chosen per token
  std::int64_t expert_size = 256;   // width of one expert's FFN
  std::int64_t shared_experts = 1;  // Ns: one FFN of width Ns * expert_size, always on
  bool shared_gate = false;         // its output times sigmoid(gate · x) (Qwen2-MoE)
  double output_scale = 1.0;        // factor on what experts and shared experts add together
  bool shortcut = false;       // experts of the first layer of `every`, beside its feed-forward (2509.01322)
  bool co_activation = false;  // count which experts are chosen together
  RouterOptions router;
  BalancerOptions balancer;
  std::vector<AuxLossOptions> aux_loss;
  CapacityOptions capacity;

  /// Columns of logits, scores and counts: the routed experts, then the zero-compute ones.
  [[nodiscard]] std::int64_t choices() const { return experts + router.zero_experts; }
};

void describe(Fields& fields, RouterOptions& options);
void describe(Fields& fields, BalancerOptions& options);
void describe(Fields& fields, AuxLossOptions& options);
void describe(Fields& fields, CapacityOptions& options);
void describe(Fields& fields, MoeOptions& options);

}  // namespace troupe::experts
