#include "configs/silent_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "configs/model_parts.h"
#include "configs/option_list.h"

namespace troupe::configs {
namespace {

/// Options that nothing reads while `silencer` has its present value.
struct Silence {
  bool holds;
  std::string silencer;
  std::vector<std::string> silent;  // options, or groups of them
};

std::vector<Silence> general(const RunConfig& config) {
  using optimizer::ScheduleKind;
  const ScheduleKind schedule = config.schedule.kind;
  const bool has_final_ratio = schedule == ScheduleKind::kCosine || schedule == ScheduleKind::kWsd;
  return {
      {!config.init_from.checkpoint, "init_from.checkpoint", {"init_from.noise", "init_from.slice_scale"}},
      {config.parallel.placement != layout::PlacementKind::kBalanced,
       "parallel.placement",
       {"parallel.placement_every"}},
      {config.parallel.device == DeviceKind::kCpu, "parallel.device", {"parallel.gemm"}},
      {config.parallel.backend != layout::Backend::kMpi,
       "parallel.backend",
       {"launch.interface", "launch.mpirun_args"}},
      {schedule != ScheduleKind::kWsd, "schedule.kind", {"schedule.decay", "schedule.decay_shape"}},
      {!has_final_ratio, "schedule.kind", {"schedule.final_ratio"}},
      {config.model.objective.kind != model::ObjectiveKind::kDpo, "objective.kind", {"objective.beta"}},
      {config.evaluation.every == 0, "evaluation.every", {"evaluation.sequences"}},
      {config.sampling.every == 0, "sampling.every", {"sampling.prompts", "sampling.tokens"}},
      {!config.dashboard.enabled,
       "dashboard.enabled",
       {"dashboard.address", "dashboard.port", "dashboard.token_file", "dashboard.host_names",
        "metrics.per_expert"}},
  };
}

std::vector<Silence> of_experts(const model::ModelOptions& model) {
  using experts::BalancerKind;
  using experts::Selection;
  const experts::MoeOptions& moe = model.moe;
  const Selection selection = moe.router.selection;
  const BalancerKind balancer = moe.balancer.kind;
  const bool drops = moe.capacity.kind == experts::CapacityKind::kFactor;
  return {
      {!has_experts(model),
       "model.moe.first_dense_layers",
       {"model.moe.router", "model.moe.balancer", "model.moe.aux_loss", "model.moe.capacity"}},
      {selection != Selection::kGroupLimited, "model.moe.router.selection", {"model.moe.router.group_score"}},
      {selection != Selection::kSinkhorn,
       "model.moe.router.selection",
       {"model.moe.router.sinkhorn_iterations"}},
      {balancer == BalancerKind::kNone || balancer == BalancerKind::kPid,
       "model.moe.balancer.kind",
       {"model.moe.balancer.rate"}},
      {balancer != BalancerKind::kPid,
       "model.moe.balancer.kind",
       {"model.moe.balancer.kp", "model.moe.balancer.ki", "model.moe.balancer.kd",
        "model.moe.balancer.integral_limit"}},
      {!drops && selection != Selection::kExpertChoice,
       "model.moe.capacity.kind",
       {"model.moe.capacity.factor"}},
      {!drops, "model.moe.capacity.kind", {"model.moe.capacity.drop_policy"}},
  };
}

/// Of one mixer; key: "model.attention".
std::vector<Silence> of_mixer(const model::AttentionOptions& mixer, const std::string& key) {
  using model::RopeScalingKind;
  const bool latent = mixer.kind == model::AttentionKind::kMla;
  const auto scaling = mixer.rope.scaling.kind;
  const std::string in_scaling = key + ".rope.scaling.";
  return {
      {latent,
       key + ".kind",
       {key + ".kv_heads", key + ".head_dim", key + ".qk_norm", key + ".rope.fraction"}},
      {!latent, key + ".kind", {key + ".latent"}},
      {mixer.positions != model::Positions::kRope, key + ".positions", {key + ".rope"}},
      {mixer.temperature == 0.0, key + ".temperature", {key + ".temperature_length"}},
      {scaling == RopeScalingKind::kNone, in_scaling + "kind", {in_scaling + "factor"}},
      {scaling != RopeScalingKind::kLlama3 && scaling != RopeScalingKind::kYarn,
       in_scaling + "kind",
       {in_scaling + "original_length"}},
      {scaling != RopeScalingKind::kLlama3,
       in_scaling + "kind",
       {in_scaling + "low_frequency_factor", in_scaling + "high_frequency_factor"}},
      {scaling != RopeScalingKind::kYarn,
       in_scaling + "kind",
       {in_scaling + "beta_fast", in_scaling + "beta_slow", in_scaling + "truncate",
        in_scaling + "magnitude"}},
  };
}

bool belongs_to(std::string_view key, std::string_view group) {
  return key == group || (key.starts_with(group) && (key[group.size()] == '.' || key[group.size()] == '['));
}

std::vector<OptionInfo> options_of(RunConfig config) {
  auto options = list_options([&](Fields& fields) { describe(fields, config); });
  std::erase_if(options, [](const OptionInfo& option) { return option.kind != OptionInfo::Kind::kOption; });
  return options;
}

}  // namespace

std::vector<std::string> silent_options(const RunConfig& config) {
  const auto options = options_of(config);
  const auto defaults = options_of(RunConfig{});
  const auto value_of = [&](std::string_view key) -> const std::string& {
    return std::ranges::find(options, key, &OptionInfo::key)->value;
  };
  std::vector<Silence> silences = general(config);
  std::ranges::move(of_experts(config.model), std::back_inserter(silences));
  if (config.model.mixers.empty())
    std::ranges::move(of_mixer(config.model.attention, "model.attention"), std::back_inserter(silences));
  std::vector<std::string> found;
  for (std::size_t i = 0; i < options.size(); ++i) {
    if (options[i].value == defaults[i].value) continue;
    const auto silence = std::ranges::find_if(silences, [&](const Silence& one) {
      return one.holds && std::ranges::any_of(one.silent, [&](const std::string& group) {
               return belongs_to(options[i].key, group);
             });
    });
    if (silence == silences.end()) continue;
    found.push_back(fmt::format("{} = {} has no effect with {} = {}", options[i].key, options[i].value,
                                silence->silencer, value_of(silence->silencer)));
  }
  return found;
}

}  // namespace troupe::configs
