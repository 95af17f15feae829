#include "configs/expert_rules.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/index.h"
#include "configs/model_parts.h"
#include "configs/rule_list.h"

namespace troupe::configs {
namespace {

using experts::Selection;

class ExpertRules : RuleList {
 public:
  explicit ExpertRules(const RunConfig& config) : config_(config) {}

  std::vector<RuleProblem> check() {
    check_experts();
    check_co_activation();
    check_balancer();
    check_aux_losses();
    check_selection();
    check_groups();
    check_feed_forward();
    check_capacity();
    return take();
  }

 private:
  void check_experts() {
    const auto& moe = config_.model.moe;
    const auto& router = moe.router;
    require(moe.first_dense_layers <= config_.model.layers, "model.moe.first_dense_layers",
            "model.moe.first_dense_layers = {} exceeds model.layers = {}", moe.first_dense_layers,
            config_.model.layers);
    require(moe.first_dense_layers + moe.last_dense_layers <= config_.model.layers,
            "model.moe.last_dense_layers",
            "model.moe.first_dense_layers + last_dense_layers = {} exceed model.layers = {}",
            moe.first_dense_layers + moe.last_dense_layers, config_.model.layers);
    if (moe.shortcut) check_shortcut();
    require(moe.top_k <= moe.experts, "model.moe.top_k",
            "model.moe.top_k = {} exceeds model.moe.experts = {}", moe.top_k, moe.experts);
    require(
        moe.top_k > 1 || !router.normalize_weights || !moe.aux_loss.empty(),
        "model.moe.router.normalize_weights",
        "with top_k: 1 a normalised weight is always 1 and the router gets no gradient, but for that of an "
        "aux_loss: set it to false");
    require(moe.top_k > 1 || !router.softmax_after_topk, "model.moe.router.softmax_after_topk",
            "with top_k: 1 a softmax over the chosen expert is always 1 and the router gets no gradient");
    require(!router.softmax_after_topk || router.score == experts::Score::kSoftmax,
            "model.moe.router.softmax_after_topk", "softmax_after_topk needs score: softmax");
  }

  void check_shortcut() {
    const auto& model = config_.model;
    const auto& moe = model.moe;
    const std::int64_t layers = model.layers - moe.first_dense_layers - moe.last_dense_layers;
    require(moe.every > 1 && layers % moe.every == 0, "model.moe.shortcut",
            "with shortcut the experts of a layer are added at the end of the last of `every` layers: "
            "model.moe.every = {} must be at least 2 and divide the {} layers that are not first or last "
            "dense ones",
            moe.every, layers);
    require(model.norm.placement == model::NormPlacement::kPre && model.residual_multiplier == 1.0 &&
                model.dropout.residual == 0.0,
            "model.moe.shortcut",
            "shortcut goes with norm.placement: pre, residual_multiplier: 1 and dropout.residual: 0");
  }

  void check_co_activation() {
    const auto& model = config_.model;
    const std::int64_t dense = model.moe.first_dense_layers + model.moe.last_dense_layers;
    const std::int64_t layers = std::max<std::int64_t>(0, model.layers - dense) + model.mtp.depth;
    constexpr std::int64_t kMostPairs = std::int64_t{1} << 20;
    require(!model.moe.co_activation || layers * model.moe.experts * model.moe.experts <= kMostPairs,
            "model.moe.co_activation",
            "co_activation counts layers * experts^2 pairs, which are summed over all workers in every step: "
            "at most {}, not {}",
            kMostPairs, layers * model.moe.experts * model.moe.experts);
    require(!model.moe.co_activation || model.moe.top_k > 1 ||
                model.moe.router.selection == Selection::kExpertChoice,
            "model.moe.co_activation",
            "with top_k: 1 no token chooses two experts: there is nothing to count");
  }

  void check_balancer() {
    const auto& moe = config_.model.moe;
    const auto& balancer = moe.balancer;
    using experts::BalancerKind;
    const auto selection = moe.router.selection;
    const std::string_view kind = experts::kBalancerNames[at(balancer.kind)];
    const std::string_view selected = experts::kSelectionNames[at(selection)];
    const bool biased = selection == Selection::kTopK || selection == Selection::kGroupLimited;
    require(balancer.kind == BalancerKind::kNone || biased, "model.moe.balancer.kind",
            "selection: {} chooses without a balance bias, so balancer {} would do nothing: set kind: none",
            selected, kind);
    const bool has_target = balancer.kind == BalancerKind::kProportional && moe.router.zero_experts > 0;
    require(balancer.routed_per_token == 0.0 || has_target, "model.moe.balancer.routed_per_token",
            "routed_per_token goes with router.zero_experts and kind: proportional; otherwise nothing "
            "moves a token's number of routed experts");
    require(balancer.routed_per_token <= static_cast<double>(moe.top_k),
            "model.moe.balancer.routed_per_token", "routed_per_token = {} exceeds model.moe.top_k = {}",
            balancer.routed_per_token, moe.top_k);
    if (balancer.kind == BalancerKind::kPid) check_pid();
    if (balancer.kind == BalancerKind::kQuantile) check_quantile();
  }

  void check_aux_losses() {
    const auto& losses = config_.model.moe.aux_loss;
    for (std::size_t i = 0; i < losses.size(); ++i)
      check_aux_loss(losses[i], fmt::format("model.moe.aux_loss[{}]", i));
  }

  void check_aux_loss(const experts::AuxLossOptions& loss, const std::string& key) {
    using experts::AuxLossKind;
    using experts::Selection;
    const auto& moe = config_.model.moe;
    const auto selection = moe.router.selection;
    const std::string_view kind = experts::kAuxLossKindNames[at(loss.kind)];
    const bool balances = loss.kind == AuxLossKind::kLoadBalance;
    const experts::AuxLossOptions usual;
    require(balances || loss.scope == usual.scope, key + ".scope",
            "{}.scope goes with kind: load_balance; kind: {} has none", key, kind);
    require(balances || loss.f_source == usual.f_source, key + ".f_source",
            "{}.f_source goes with kind: load_balance; kind: {} has none", key, kind);
    require(loss.kind != AuxLossKind::kLoad || selection == Selection::kNoisyTopK, key + ".kind",
            "kind: load is the chance of being chosen under the router's noise: it needs "
            "model.moe.router.selection: noisy_top_k");
    require(loss.kind != AuxLossKind::kLoad || moe.top_k < moe.choices(), key + ".kind",
            "kind: load with top_k = {} of {} experts: each is always chosen", moe.top_k, moe.choices());
    const bool by_token = selection != Selection::kExpertChoice && selection != Selection::kSinkhorn;
    require(
        loss.f_source == experts::FrequencySource::kActual || by_token, key + ".f_source",
        "f_source: unbiased counts plain top-k of the scores, which selection: {} does not use: set it to "
        "actual",
        experts::kSelectionNames[at(selection)]);
  }

  void check_pid() {
    const auto& pid = config_.model.moe.balancer;
    require(pid.kp > 0.0 || pid.ki > 0.0 || pid.kd > 0.0, "model.moe.balancer.kp",
            "pid with kp, ki and kd all 0 never moves: kind: none says so");
    require(pid.ki == 0.0 || pid.integral_limit > 0.0, "model.moe.balancer.integral_limit",
            "integral_limit = 0 leaves ki = {} without effect", pid.ki);
  }

  void check_quantile() {
    const auto& moe = config_.model.moe;
    require(moe.router.selection != Selection::kGroupLimited, "model.moe.balancer.kind",
            "quantile moves an expert to where it is just chosen among all; with selection: group_limited a "
            "token chooses among the kept groups only");
    require(moe.router.zero_experts == 0, "model.moe.balancer.kind",
            "quantile gives every expert the same share of all choices, and zero-compute experts have no "
            "bias to get theirs: use kind: proportional");
    const double largest = std::max(moe.balancer.rate.from, moe.balancer.rate.to);
    require(largest <= 1.0, "model.moe.balancer.rate",
            "quantile goes `rate` of the way to the measured quantile: {} overshoots; 0.5 is usual", largest);
    require(
        moe.top_k < moe.experts, "model.moe.top_k",
        "quantile compares with the first expert that is not chosen: top_k = {} must be below experts = {}",
        moe.top_k, moe.experts);
  }

  void check_selection() {
    const auto& moe = config_.model.moe;
    const auto& router = moe.router;
    const std::string_view name = experts::kSelectionNames[at(router.selection)];
    require(router.selection != Selection::kNoisyTopK || router.softmax_after_topk,
            "model.moe.router.softmax_after_topk",
            "selection: noisy_top_k weighs by a softmax over the kept noisy logits: set score: softmax and "
            "softmax_after_topk: true");
    const bool needs_scores = router.selection == Selection::kGshardSecond ||
                              router.selection == Selection::kExpertChoice ||
                              router.selection == Selection::kSinkhorn;
    require(!needs_scores || !router.softmax_after_topk, "model.moe.router.softmax_after_topk",
            "selection: {} weighs with the scores of all experts; softmax_after_topk goes with top_k, "
            "noisy_top_k and group_limited",
            name);
    require(router.selection != Selection::kGshardSecond || moe.top_k == 2, "model.moe.top_k",
            "selection: gshard_second decides about a token's second expert: top_k must be 2, not {}",
            moe.top_k);
    require(router.selection != Selection::kExpertChoice || router.zero_experts == 0,
            "model.moe.router.zero_experts",
            "zero experts take no tokens: selection: expert_choice has none");
  }

  void check_groups() {
    const auto& moe = config_.model.moe;
    const auto& router = moe.router;
    if (router.selection != Selection::kGroupLimited) {
      require(router.groups == 1 && router.top_groups == 1, "model.moe.router.groups",
              "groups and top_groups are for selection: group_limited");
      return;
    }
    const bool divides = moe.experts % router.groups == 0;
    require(divides, "model.moe.router.groups",
            "model.moe.router.groups = {} must divide model.moe.experts = {}", router.groups, moe.experts);
    require(router.top_groups <= router.groups, "model.moe.router.top_groups",
            "model.moe.router.top_groups = {} exceeds groups = {}", router.top_groups, router.groups);
    const std::int64_t reachable = router.top_groups * (moe.experts / router.groups);
    require(!divides || moe.top_k <= reachable, "model.moe.top_k",
            "model.moe.top_k = {} exceeds the {} experts of top_groups = {} groups", moe.top_k, reachable,
            router.top_groups);
    require(router.zero_experts == 0, "model.moe.router.zero_experts",
            "zero experts belong to no group: selection: group_limited has none");
  }

  void check_feed_forward() {
    const auto& moe = config_.model.moe;
    require(!moe.shared_gate || moe.shared_experts > 0, "model.moe.shared_gate",
            "model.moe.shared_gate is the gate of the shared experts, and model.moe.shared_experts is 0");
  }

  void check_capacity() {
    const auto& moe = config_.model.moe;
    require(moe.capacity.kind == experts::CapacityKind::kDropless ||
                moe.router.selection != Selection::kExpertChoice,
            "model.moe.capacity.kind",
            "selection: expert_choice never drops, its experts take capacity.factor as their size: set "
            "model.moe.capacity.kind: dropless");
  }

  const RunConfig& config_;
};

}  // namespace

std::vector<RuleProblem> expert_problems(const RunConfig& config) { return ExpertRules(config).check(); }

}  // namespace troupe::configs
