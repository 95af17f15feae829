#include "configs/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/index.h"
#include "base/network.h"
#include "configs/device_rules.h"
#include "configs/expert_rules.h"
#include "configs/layout_choice.h"
#include "configs/model_parts.h"
#include "configs/model_rules.h"
#include "configs/rule_list.h"

namespace troupe::configs {
namespace {

using experts::Selection;

class Rules : RuleList {
 public:
  explicit Rules(const RunConfig& config) : config_(config) {}

  std::vector<RuleProblem> check() {
    check_run();
    check_init_from();
    check_routing_folders();
    check_data();
    check_objective();
    add(model_problems(config_));
    add(expert_problems(config_));
    check_batch();
    check_pairs();
    check_layout();
    check_dispatch();
    add(device_problems(config_));
    check_optimizer();
    check_sampling();
    check_addresses();
    return take();
  }

 private:
  void check_run() {
    const auto& run = config_.run;
    const bool plain = std::ranges::all_of(run.name, [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
    });
    require(plain && !run.name.empty() && run.name.front() != '.' && run.name.front() != '-', "run.name",
            "run.name is part of a folder's name: letters, digits, '-', '_' and '.', beginning with a letter "
            "or digit");
    require(!run.dir.empty(), "run.dir", "run.dir must name a folder");
    if (run.stop_after) {
      require(*run.stop_after <= run.steps, "run.stop_after",
              "run.stop_after = {} comes after the last step, {}", *run.stop_after, run.steps);
    }
  }

  void check_init_from() {
    const auto& init_from = config_.init_from;
    require(!init_from.branch || init_from.checkpoint, "init_from.branch",
            "init_from.branch goes on from init_from.checkpoint, which is null");
    require(!init_from.branch || init_from.noise == 0.0, "init_from.noise",
            "init_from.noise is for copied experts; a branch copies none");
  }

  void check_routing_folders() {
    const auto& run = config_.run;
    const bool routes = has_experts(config_.model);
    require(routes || !run.record_routing, "run.record_routing",
            "run.record_routing: the model has no layer with experts, so there is no routing to keep");
    require(routes || !run.replay_routing, "run.replay_routing",
            "run.replay_routing: the model has no layer with experts, so there is no routing to follow");
    require(!run.replay_routing || !run.replay_routing->empty(), "run.replay_routing",
            "run.replay_routing must name the routing folder of a run, or be null");
  }

  void check_data() {
    const auto& data = config_.data;
    require(!data.corpus.empty(), "data.corpus",
            "data.corpus must name a folder made by `troupe data prepare`");
    const bool some =
        std::ranges::any_of(data.domains, [](const auto& domain) { return domain.second > 0.0; });
    require(data.domains.empty() || some, "data.domains", "data.domains gives every domain the weight 0");
  }

  void check_objective() {
    const model::ObjectiveOptions& objective = config_.model.objective;
    if (!objective.compares()) return;
    const std::string_view kind = model::kObjectiveNames[at(objective.kind)];
    require(
        config_.data.domains.empty(), "data.domains",
        "data.domains weighs text; with objective.kind: {} every pair is seen once an epoch: set it to {{}}",
        kind);
    require(
        config_.data.document_mask, "data.document_mask",
        "objective.kind: {} compares two answers that must not see each other: set data.document_mask: true",
        kind);
    require(config_.model.loss.z_loss == 0.0, "model.loss.z_loss",
            "model.loss.z_loss goes with the loss of text; objective.kind: {} has none: set it to 0", kind);
    require(!objective.is_reward() || config_.sampling.every == 0, "sampling.every",
            "objective.kind: reward: the model has a head for one number and writes nothing: set "
            "sampling.every: 0");
  }

  /// A microbatch numbers its (token, slot) pairs with 32 bits; the options' ranges keep products within 64.
  void check_pairs() {
    const std::int64_t tokens = config_.batch.micro_batch * config_.data.sequence_length;
    const std::int64_t pairs = tokens * config_.model.moe.top_k;
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    require(pairs <= kMost, "batch.micro_batch",
            "batch.micro_batch * data.sequence_length * model.moe.top_k = {} * {} * {} = {} exceeds {}, the "
            "most choices that one microbatch can make: take a smaller batch.micro_batch",
            config_.batch.micro_batch, config_.data.sequence_length, config_.model.moe.top_k, pairs, kMost);
  }

  void check_batch() {
    const auto& batch = config_.batch;
    const std::int64_t at_once = batch.grad_lanes * batch.micro_batch;
    require(batch.sequences % at_once == 0, "batch.sequences",
            "batch.sequences = {} must be a multiple of grad_lanes * micro_batch = {} * {} = {}",
            batch.sequences, batch.grad_lanes, batch.micro_batch, at_once);
    require(batch.expert_lanes <= batch.grad_lanes, "batch.expert_lanes",
            "batch.expert_lanes = {} exceeds batch.grad_lanes = {}", batch.expert_lanes, batch.grad_lanes);
  }

  void check_layout() {
    const auto& parallel = config_.parallel;
    require(
        parallel.placement == layout::PlacementKind::kContiguous || parallel.expert_parallel != 1,
        "parallel.placement",
        "parallel.placement: balanced has nothing to place with expert_parallel: 1, where every worker holds "
        "all experts");
    require(config_.checkpoint.snapshot_every == 0 || !config_.launch.hostfile, "checkpoint.snapshot_every",
            "checkpoint.snapshot_every keeps the state of workers on one machine; with launch.hostfile set "
            "it to 0");
    require(parallel.backend == layout::Backend::kMpi || !config_.launch.hostfile, "launch.hostfile",
            "backend: inproc computes in one process; launch.hostfile goes with backend: mpi");
    if (parallel.workers) {
      const LayoutChoice layout{*parallel.workers, parallel.expert_parallel.value_or(*parallel.workers)};
      if (const auto refusal = refuse_layout(config_, layout)) add({{refusal->key, refusal->message}});
      return;
    }
    try {
      static_cast<void>(choose_layout(config_, 1));
    } catch (const Error& error) {
      add({{"parallel.expert_parallel", error.what()}});
    }
  }

  void check_dispatch() {
    const auto& dispatch = config_.parallel.dispatch;
    require(dispatch.hierarchical || dispatch.workers_per_node == 0, "parallel.dispatch.workers_per_node",
            "parallel.dispatch.workers_per_node = {} is for the hierarchical exchange: set "
            "parallel.dispatch.hierarchical: true, or workers_per_node: 0",
            dispatch.workers_per_node);
  }

  void check_optimizer() {
    const auto& betas = config_.optimizer.betas;
    require(std::ranges::all_of(betas, [](double beta) { return beta > 0.0 && beta < 1.0; }),
            "optimizer.betas", "optimizer.betas must lie between 0 and 1, both excluded");
    require(config_.optimizer.eps > 0.0, "optimizer.eps", "optimizer.eps must be above 0");
    const auto& schedule = config_.schedule;
    require(schedule.milestones[0] <= schedule.milestones[1], "schedule.milestones",
            "schedule.milestones = [{}, {}] must ascend", schedule.milestones[0], schedule.milestones[1]);
    const bool decays = schedule.kind == optimizer::ScheduleKind::kWsd;
    if (!is_length("schedule.warmup", schedule.warmup) || !is_length("schedule.decay", schedule.decay))
      return;
    const std::int64_t steps = config_.run.steps;
    const std::int64_t warmup = optimizer::length_in_steps(schedule.warmup, steps);
    const std::int64_t used = decays ? optimizer::length_in_steps(schedule.decay, steps) : 0;
    require(
        warmup <= steps - used, decays ? "schedule.decay" : "schedule.warmup",
        "schedule.warmup + decay = {} + {} steps exceed run.steps = {}; lengths below 1 are parts of the run",
        warmup, used, steps);
  }

  bool is_length(std::string_view key, double length) {
    const bool whole = length < 1.0 || length == std::floor(length);
    require(whole && length < 1e15, key,
            "{} = {} must be a number of whole steps, or a part of the run below 1", key, length);
    return whole && length < 1e15;
  }

  void check_sampling() {
    const auto& sampling = config_.sampling;
    require(sampling.every == 0 || !sampling.prompts.empty(), "sampling.prompts",
            "sampling.prompts is empty: give a text to begin with, or set sampling.every: 0");
  }

  void check_addresses() {
    const std::string& address = config_.dashboard.address;
    require(is_ip_address(address), "dashboard.address",
            "dashboard.address must be an IP address of this host, such as 127.0.0.1; '{}' is none", address);
    const std::string& control = config_.control.address;
    require(control == comm::kAutomaticAddress || is_ip_address(control), "control.address",
            "control.address must be an IP address of this host, such as 127.0.0.1, or auto; '{}' is none",
            control);
  }

  const RunConfig& config_;
};

}  // namespace

std::vector<RuleProblem> validate(const RunConfig& config) { return Rules(config).check(); }

std::vector<std::string> warnings(const RunConfig& config) {
  std::vector<std::string> found;
  const auto& moe = config.model.moe;
  if (moe.first_dense_layers + moe.last_dense_layers == config.model.layers) return found;
  const auto looks_ahead = [&](const std::string& option, const std::string& what) {
    found.push_back(
        fmt::format("{} of a microbatch {}, so a causal model sees the future while it trains and is "
                    "evaluated, and not when "
                    "it writes: its losses cannot be compared with those of other choices",
                    option, what));
  };
  if (moe.router.selection == Selection::kExpertChoice || moe.router.selection == Selection::kSinkhorn) {
    looks_ahead(fmt::format("model.moe.router.selection: with {} later tokens",
                            experts::kSelectionNames[at(moe.router.selection)]),
                "decide where earlier ones go");
  }
  if (moe.capacity.kind == experts::CapacityKind::kFactor &&
      moe.capacity.drop_policy == experts::DropPolicy::kScore) {
    looks_ahead("model.moe.capacity.drop_policy: with score later tokens",
                "take the places of earlier ones (position does not)");
  }
  return found;
}

}  // namespace troupe::configs
