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
#include "configs/layout_choice.h"
#include "configs/model_parts.h"

namespace troupe::configs {
namespace {

using experts::Selection;

class Rules {
 public:
  explicit Rules(const RunConfig& config) : config_(config) {}

  std::vector<RuleProblem> check() {
    check_run();
    check_init_from();
    check_routing_folders();
    check_data();
    check_objective();
    check_mixers();
    check_experts();
    check_co_activation();
    check_balancer();
    check_aux_losses();
    check_selection();
    check_groups();
    check_feed_forward();
    check_batch();
    check_pairs();
    check_capacity();
    check_layout();
    check_dispatch();
    for (RuleProblem& problem : device_problems(config_)) problems_.push_back(std::move(problem));
    check_optimizer();
    check_sampling();
    check_addresses();
    return std::move(problems_);
  }

 private:
  template <class... Args>
  void require(bool holds, std::string_view key, fmt::format_string<Args...> format, Args&&... args) {
    if (!holds) problems_.push_back({std::string(key), fmt::format(format, std::forward<Args>(args)...)});
  }

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

  void check_mixers() {
    const auto& model = config_.model;
    check_model_parts();
    for_each_mixer(config_.model, [&](const model::AttentionOptions& mixer, const std::string& key) {
      check_attention(mixer, key);
    });
    if (model.mixers.empty()) {
      require(
          model.layer_pattern.empty() && model.layer_exceptions.empty(), "model.layer_pattern",
          "model.layer_pattern and layer_exceptions name mixers, and model.mixers has none: every layer has "
          "model.attention");
      return;
    }
    require(!model.layer_pattern.empty(), "model.layer_pattern",
            "model.layer_pattern must say which of model.mixers the layers have, for example [{}]",
            model.mixers.front().name);
    if (!model.layer_pattern.empty()) check_layers();
  }

  void check_model_parts() {
    const auto& model = config_.model;
    check_mtp();
    require(model.norm.eps > 0.0, "model.norm.eps", "model.norm.eps must be above 0");
    require(!model.norm.bias || model.norm.kind == layers::NormKind::kLayerNorm, "model.norm.bias",
            "model.norm.bias is the bias of kind: layer_norm; {} has none",
            layers::kNormNames[at(model.norm.kind)]);
    require(!model.logits.normed || !model.logits.bias, "model.logits.bias",
            "a head with rows of length 1 has no bias: set model.logits.bias: false");
    require(
        !model.mup.on() || model.init.kind == model::InitKind::kNormal, "model.init.kind",
        "model.mup says what initial values are at other widths; init.kind: {} does, too: set it to normal",
        model::kInitNames[at(model.init.kind)]);
    require(
        model.moe.router.softcap == 0.0 || model.moe.router.selection != Selection::kNoisyTopK,
        "model.moe.router.softcap",
        "selection: noisy_top_k adds noise to logits without a soft cap: set model.moe.router.softcap: 0");
    const std::int64_t positions = model.embedding.positions;
    require(positions == 0 || positions >= config_.data.sequence_length, "model.embedding.positions",
            "model.embedding.positions = {} are too few for data.sequence_length = {}", positions,
            config_.data.sequence_length);
  }

  void check_mtp() {
    const auto& model = config_.model;
    if (model.mtp.depth == 0) return;
    require(!model.objective.compares(), "model.mtp.depth",
            "model.mtp predicts further tokens of a text; objective.kind: {} compares answers: set depth: 0",
            model::kObjectiveNames[at(model.objective.kind)]);
    require(!model.logits.normed, "model.mtp.depth", "model.mtp does not go with model.logits.normed yet");
    require(model.embedding.positions == 0, "model.mtp.depth",
            "model.mtp reads embeddings of later tokens, and model.embedding.positions adds those of places: "
            "set one of them to 0");
    require(model.mtp.depth + 1 < config_.data.sequence_length, "model.mtp.depth",
            "model.mtp.depth = {} leaves nothing to predict in data.sequence_length = {}", model.mtp.depth,
            config_.data.sequence_length);
  }

  void check_layers() {
    const auto& model = config_.model;
    for (const auto& [layer, name] : model.layer_exceptions) {
      require(is_layer(layer), "model.layer_exceptions." + layer,
              "model.layer_exceptions.{}: the layers are numbered from 0 to {}", layer, model.layers - 1);
    }
    try {
      static_cast<void>(model::layer_mixers(model));
    } catch (const Error& error) {
      problems_.push_back({"model.layer_pattern", error.what()});
    }
  }

  [[nodiscard]] bool is_layer(const std::string& text) const {
    for (std::int64_t layer = 0; layer < config_.model.layers; ++layer)
      if (std::to_string(layer) == text) return true;
    return false;
  }

  void check_attention(const model::AttentionOptions& attention, const std::string& key) {
    require(attention.stride == 0 || attention.window > 0, key + ".window",
            "{0}.stride = {1} goes beyond a window of keys: set {0}.window, 1 for the query's own key alone",
            key, attention.stride);
    require(attention.temperature == 0.0 || attention.temperature_length > 1 ||
                attention.temperature_shape == model::TemperatureShape::kSteps,
            key + ".temperature_length", "temperature_shape: log needs {}.temperature_length above 1", key);
    if (attention.kind == model::AttentionKind::kMla) return check_latent(attention, key);
    const std::int64_t heads = attention.heads;
    const std::int64_t kv_heads = attention.kv_heads;
    require(heads % kv_heads == 0, key + ".kv_heads", "{0}.kv_heads = {1} must divide {0}.heads = {2}", key,
            kv_heads, heads);
    require(attention.kind != model::AttentionKind::kMha || kv_heads == heads, key + ".kv_heads",
            "kind: mha has as many kv_heads as heads, {}; {} are asked for", heads, kv_heads);
    require(attention.kind != model::AttentionKind::kMqa || kv_heads == 1, key + ".kv_heads",
            "kind: mqa has 1 kv_head; {} are asked for", kv_heads);
    require(attention.query_rank == 0 || !attention.qkv_bias, key + ".qkv_bias",
            "queries from a latent have no bias: set {}.qkv_bias: false", key);
    if (attention.positions == model::Positions::kRope) check_rope(attention, key);
  }

  void check_latent(const model::AttentionOptions& attention, const std::string& key) {
    const auto& latent = attention.latent;
    constexpr std::int64_t kMostChannels = 256;
    const std::int64_t head_dim = latent.rope_dim + latent.nope_dim;
    require(head_dim <= kMostChannels, key + ".latent.nope_dim",
            "{}.latent: rope_dim + nope_dim = {} exceeds {}, what the kernels hold", key, head_dim,
            kMostChannels);
    require(latent.value_dim <= head_dim, key + ".latent.value_dim",
            "{}.latent.value_dim = {} exceeds rope_dim + nope_dim = {}", key, latent.value_dim, head_dim);
    require(latent.rope_dim % 2 == 0, key + ".latent.rope_dim",
            "{}.latent.rope_dim = {} must be even: rotations turn pairs", key, latent.rope_dim);
    require(!attention.qkv_bias, key + ".qkv_bias", "kind: mla has no biases: set {}.qkv_bias: false", key);
    require(!attention.out_bias, key + ".out_bias", "kind: mla has no biases: set {}.out_bias: false", key);
    require(attention.temperature == 0.0, key + ".temperature",
            "kind: mla has no temperature: set {}.temperature: 0", key);
    require(attention.query_rank == 0, key + ".query_rank",
            "kind: mla has its queries' latent in {0}.latent.query_rank: set {0}.query_rank: 0", key);
    require(!attention.sinks, key + ".sinks", "kind: mla has no sinks: set {}.sinks: false", key);
    check_scaling(attention, key);
  }

  void check_rope(const model::AttentionOptions& attention, const std::string& key) {
    const double rotated = static_cast<double>(attention.head_dim) * attention.rope.fraction;
    require(std::fmod(rotated, 2.0) == 0.0, key + ".rope.fraction",
            "head_dim * rope.fraction = {} must be an even whole number: rotations turn pairs", rotated);
    check_scaling(attention, key);
  }

  void check_scaling(const model::AttentionOptions& attention, const std::string& key) {
    const auto& scaling = attention.rope.scaling;
    require(scaling.low_frequency_factor <= scaling.high_frequency_factor,
            key + ".rope.scaling.low_frequency_factor",
            "{}.rope.scaling.low_frequency_factor = {} exceeds high_frequency_factor = {}", key,
            scaling.low_frequency_factor, scaling.high_frequency_factor);
    require(scaling.beta_slow <= scaling.beta_fast, key + ".rope.scaling.beta_slow",
            "{}.rope.scaling.beta_slow = {} exceeds beta_fast = {}", key, scaling.beta_slow,
            scaling.beta_fast);
  }

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
                model.moe.router.selection == experts::Selection::kExpertChoice,
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
    require(moe.router.selection != experts::Selection::kGroupLimited, "model.moe.balancer.kind",
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
      if (const auto refusal = refuse_layout(config_, layout))
        problems_.push_back({refusal->key, refusal->message});
      return;
    }
    try {
      static_cast<void>(choose_layout(config_, 1));
    } catch (const Error& error) {
      problems_.push_back({"parallel.expert_parallel", error.what()});
    }
  }

  void check_capacity() {
    const auto& moe = config_.model.moe;
    require(moe.capacity.kind == experts::CapacityKind::kDropless ||
                moe.router.selection != experts::Selection::kExpertChoice,
            "model.moe.capacity.kind",
            "selection: expert_choice never drops, its experts take capacity.factor as their size: set "
            "model.moe.capacity.kind: dropless");
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
  std::vector<RuleProblem> problems_;
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
