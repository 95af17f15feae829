#include "configs/device_rules.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/index.h"
#include "configs/model_parts.h"

namespace troupe::configs {
namespace {

class DeviceRules {
 public:
  explicit DeviceRules(const RunConfig& config) : config_(config) {}

  std::vector<RuleProblem> check() {
    if (has_experts(config_.model)) check_experts();
    check_model();
    for_each_mixer(config_.model, [&](const model::AttentionOptions& mixer, const std::string& key) {
      refuse(mixer.output_gate, key + ".output_gate", "true", "false does");
      refuse(mixer.stride > 0, key + ".stride", "a number", "0 does");
      refuse(mixer.temperature > 0.0 && mixer.temperature_shape != model::TemperatureShape::kSteps,
             key + ".temperature_shape", "log", "steps does");
    });
    const auto activation = config_.model.ffn.form.activation;
    refuse(activation == layers::Activation::kGelu || activation == layers::Activation::kGeGlu,
           "model.ffn.activation", layers::kActivationNames[at(activation)], "all but gelu and geglu do");
    const auto& parallel = config_.parallel;
    refuse(parallel.dispatch.hierarchical, "parallel.dispatch.hierarchical", "true", "false does");
    refuse(parallel.dispatch.dtype != layout::DispatchType::kF32, "parallel.dispatch.dtype", "bf16",
           "f32 does");
    refuse(parallel.placement != layout::PlacementKind::kContiguous, "parallel.placement", "balanced",
           "contiguous does");
    refuse(config_.model.objective.compares(), "objective.kind",
           model::kObjectiveNames[at(config_.model.objective.kind)], "next_token and sft do");
    refuse(config_.run.record_routing, "run.record_routing", "true", "false does");
    refuse(config_.run.replay_routing.has_value(), "run.replay_routing", "a folder", "null does");
    return std::move(problems_);
  }

 private:
  void refuse(bool used, std::string_view key, std::string_view value, std::string_view runs) {
    if (!used) return;
    problems_.push_back({std::string(key), fmt::format("{}: {} does not run with parallel.device: cuda; {}",
                                                       key, value, runs)});
  }

  void check_model() {
    const auto& model = config_.model;
    refuse(model.norm.placement == model::NormPlacement::kDeepNorm, "model.norm.placement", "deepnorm",
           "all others do");
    refuse(model.dropout.embedding > 0.0, "model.dropout.embedding", "a number", "0 does");
    refuse(model.dropout.attention > 0.0, "model.dropout.attention", "a number", "0 does");
    refuse(model.dropout.ffn > 0.0, "model.dropout.ffn", "a number", "0 does");
    refuse(model.dropout.residual > 0.0, "model.dropout.residual", "a number", "0 does");
    refuse(model.logits.normed, "model.logits.normed", "true", "false does");
    refuse(model.mup.on(), "model.mup.base_width", "a number", "0 does");
    refuse(model.mtp.depth > 0, "model.mtp.depth", "a number", "0 does");
  }

  void check_experts() {
    constexpr std::int64_t kMostExperts = 1024;
    constexpr std::int64_t kMostSlots = 32;
    const auto& moe = config_.model.moe;
    const auto& router = moe.router;
    refuse(moe.experts > kMostExperts, "model.moe.experts", "more than 1024", "fewer do");
    refuse(moe.top_k > kMostSlots, "model.moe.top_k", "more than 32", "fewer do");
    refuse(router.selection != experts::Selection::kTopK, "model.moe.router.selection",
           experts::kSelectionNames[at(router.selection)], "top_k does");
    refuse(router.softcap > 0.0, "model.moe.router.softcap", "a number", "0 does");
    refuse(moe.output_scale != 1.0, "model.moe.output_scale", "another number", "1 does");
    refuse(router.jitter != 0.0, "model.moe.router.jitter", "a number", "0 does");
    refuse(router.zero_experts > 0, "model.moe.router.zero_experts", "a number", "0 does");
    refuse(router.weight_on != experts::WeightOn::kOutput, "model.moe.router.weight_on", "input",
           "output does");
    refuse(moe.balancer.kind == experts::BalancerKind::kQuantile, "model.moe.balancer.kind", "quantile",
           "all others do");
    refuse(moe.capacity.kind != experts::CapacityKind::kDropless, "model.moe.capacity.kind", "factor",
           "dropless does");
    refuse(moe.shared_gate && moe.shared_experts > 0, "model.moe.shared_gate", "true", "false does");
    refuse(moe.shortcut, "model.moe.shortcut", "true", "false does");
    refuse(moe.co_activation, "model.moe.co_activation", "true", "false does");
    refuse(config_.model.ffn.form.bias, "model.ffn.bias", "true", "false does, with experts");
    for (std::size_t i = 0; i < moe.aux_loss.size(); ++i) {
      const auto& loss = moe.aux_loss[i];
      const auto key = [&](std::string_view name) {
        return fmt::format("model.moe.aux_loss[{}].{}", i, name);
      };
      refuse(loss.kind != experts::AuxLossKind::kLoadBalance, key("kind"),
             experts::kAuxLossKindNames[at(loss.kind)], "load_balance does");
      if (loss.kind != experts::AuxLossKind::kLoadBalance) continue;
      refuse(loss.scope == experts::AuxScope::kSequence, key("scope"), "sequence", "all others do");
      refuse(loss.f_source != experts::FrequencySource::kActual, key("f_source"), "unbiased", "actual does");
    }
  }

  const RunConfig& config_;
  std::vector<RuleProblem> problems_;
};

}  // namespace

std::vector<RuleProblem> device_problems(const RunConfig& config) {
  if (config.parallel.device != DeviceKind::kCuda) return {};
  return DeviceRules(config).check();
}

}  // namespace troupe::configs
