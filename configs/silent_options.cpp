#include "configs/silent_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
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
      {schedule != ScheduleKind::kMultiStep, "schedule.kind", {"schedule.milestones"}},
      {!has_final_ratio, "schedule.kind", {"schedule.final_ratio"}},
      {config.model.objective.kind != model::ObjectiveKind::kDpo, "objective.kind", {"objective.beta"}},
      {!config.model.mup.on(), "model.mup.base_width", {"model.mup.base_head_dim"}},
      {config.model.norm.placement == model::NormPlacement::kDeepNorm,
       "model.norm.placement",
       {"model.init.residual_scaling"}},
      {config.model.mtp.depth == 0, "model.mtp.depth", {"model.mtp.loss_weight"}},
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
       {"model.moe.router", "model.moe.balancer", "model.moe.aux_loss", "model.moe.capacity",
        "model.moe.shortcut"}},
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
      {mixer.temperature == 0.0,
       key + ".temperature",
       {key + ".temperature_length", key + ".temperature_shape"}},
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

std::vector<OptionInfo> options_of(const std::function<void(Fields&)>& describe) {
  auto options = list_options(describe);
  std::erase_if(options, [](const OptionInfo& option) { return option.kind != OptionInfo::Kind::kOption; });
  return options;
}

std::vector<OptionInfo> options_of(RunConfig config) {
  return options_of([&](Fields& fields) { describe(fields, config); });
}

/// With the keys that they have below `key`.
std::vector<OptionInfo> options_of(model::AttentionOptions mixer, const std::string& key) {
  auto options = options_of([&](Fields& fields) { describe(fields, mixer); });
  for (OptionInfo& option : options) option.key = key + "." + option.key;
  return options;
}

const std::string& value_of(const std::vector<OptionInfo>& options, std::string_view key) {
  return std::ranges::find(options, key, &OptionInfo::key)->value;
}

const Silence* silence_of(const std::vector<Silence>& silences, std::string_view key) {
  const auto found = std::ranges::find_if(silences, [&](const Silence& one) {
    return one.holds &&
           std::ranges::any_of(one.silent, [&](const std::string& group) { return belongs_to(key, group); });
  });
  return found == silences.end() ? nullptr : &*found;
}

/// Adds the options that differ from `before`, which lists the same, and that nothing reads.
void add_silent(const std::vector<OptionInfo>& options, const std::vector<OptionInfo>& before,
                const std::vector<Silence>& silences, std::vector<std::string>& found) {
  for (std::size_t i = 0; i < options.size(); ++i) {
    if (options[i].value == before[i].value) continue;
    const Silence* silence = silence_of(silences, options[i].key);
    if (silence == nullptr) continue;
    found.push_back(fmt::format("{} = {} has no effect with {} = {}", options[i].key, options[i].value,
                                silence->silencer, value_of(options, silence->silencer)));
  }
}

/// Of model.attention, which all mixers begin as: what is read in none of them.
void add_silent_in_all(const model::ModelOptions& model, std::vector<std::string>& found) {
  const std::string general = "model.attention";
  const auto options = options_of(model.attention, general);
  const auto defaults = options_of(model::AttentionOptions{}, general);
  for (std::size_t i = 0; i < options.size(); ++i) {
    const std::string name = options[i].key.substr(general.size());
    const bool silent = std::ranges::all_of(model.mixers, [&](const model::NamedMixer& mixer) {
      const std::string key = "model.mixers." + mixer.name;
      return silence_of(of_mixer(mixer.options, key), key + name) != nullptr;
    });
    if (silent && options[i].value != defaults[i].value)
      found.push_back(
          fmt::format("{} = {} has no effect in any of model.mixers", options[i].key, options[i].value));
  }
}

}  // namespace

std::vector<std::string> silent_options(const RunConfig& config) {
  const model::ModelOptions& model = config.model;
  std::vector<Silence> silences = general(config);
  std::ranges::move(of_experts(model), std::back_inserter(silences));
  if (model.mixers.empty())
    std::ranges::move(of_mixer(model.attention, "model.attention"), std::back_inserter(silences));
  std::vector<std::string> found;
  add_silent(options_of(config), options_of(RunConfig{}), silences, found);
  if (!model.mixers.empty()) add_silent_in_all(model, found);
  for (const model::NamedMixer& mixer : model.mixers) {
    const std::string key = "model.mixers." + mixer.name;
    add_silent(options_of(mixer.options, key), options_of(model.attention, key), of_mixer(mixer.options, key),
               found);
  }
  return found;
}

}  // namespace troupe::configs
