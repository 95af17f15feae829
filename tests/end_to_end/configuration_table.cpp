#include "tests/end_to_end/configuration_table.h"

#include <algorithm>
#include <utility>

#include "base/random.h"
#include "configs/load.h"
#include "configs/rules.h"

namespace troupe::test {
namespace {

constexpr int kTriesPerPair = 40;    // rows drawn for a pair that is not covered yet
constexpr int kChangesPerTry = 400;  // values changed in search of a row that is accepted

std::string moe(const std::string& setting) { return "model.moe." + setting; }

Factor::Value router(const std::string& name, const std::vector<std::string>& options) {
  Factor::Value value{name, {}};
  for (const std::string& option : options) value.settings.push_back(moe("router." + option));
  return value;
}

Factor::Value aux(const std::string& name, const std::string& losses) {
  return {name, {moe("aux_loss=[" + losses + "]")}};
}

std::vector<Factor> make_factors() {
  return {
      {"score",
       {router("sigmoid", {"score=sigmoid"}), router("softmax", {"score=softmax"}),
        router("sqrt_softplus", {"score=sqrt_softplus"})}},
      {"selection",
       {router("top_k", {"selection=top_k"}), router("noisy_top_k", {"selection=noisy_top_k"}),
        router("gshard_second", {"selection=gshard_second"}),
        router("group_limited_max",
               {"selection=group_limited", "groups=4", "top_groups=2", "group_score=max"}),
        router("group_limited_top2_sum",
               {"selection=group_limited", "groups=4", "top_groups=2", "group_score=top2_sum"}),
        router("expert_choice", {"selection=expert_choice"}), router("sinkhorn", {"selection=sinkhorn"})}},
      {"weights",
       {router("normalized", {"normalize_weights=true"}),
        router("raw", {"normalize_weights=false", "scale=2.5"}),
        router("softmax_after_topk", {"softmax_after_topk=true"})}},
      {"weight_on", {router("output", {"weight_on=output"}), router("input", {"weight_on=input"})}},
      {"linear_bias", {router("no", {}), router("yes", {"linear_bias=true", "softcap=20"})}},
      {"jitter", {router("no", {}), router("yes", {"jitter=0.1"})}},
      {"zero_experts", {router("no", {}), router("yes", {"zero_experts=3"})}},
      {"balancer",
       {{"none", {moe("balancer={kind: none}")}},
        {"sign", {moe("balancer={kind: sign, rate: 0.01}")}},
        {"sign_centered", {moe("balancer={kind: sign_centered, rate: 0.01}")}},
        {"proportional", {moe("balancer={kind: proportional, rate: 0.01}")}},
        {"pid", {moe("balancer={kind: pid}")}},
        {"quantile", {moe("balancer={kind: quantile, rate: 0.5}")}}}},
      {"aux_loss",
       {aux("none", ""), aux("micro", "{scope: micro}"), aux("sequence", "{scope: sequence}"),
        aux("global", "{scope: global}"), aux("running", "{scope: running}"),
        aux("previous", "{scope: previous}"),
        aux("global_unbiased_and_orthogonal", "{scope: global, f_source: unbiased}, {kind: orthogonal}"),
        aux("importance", "{kind: importance}"),
        aux("importance_and_load", "{kind: importance}, {kind: load}")}},
      {"capacity",
       {{"dropless", {}},
        {"position", {moe("capacity={kind: factor, factor: 1.0, drop_policy: position}")}},
        {"score", {moe("capacity={kind: factor, factor: 0.75, drop_policy: score}")}}}},
      {"activation",
       {{"swiglu", {"model.ffn.activation=swiglu"}},
        {"geglu", {"model.ffn.activation=geglu"}},
        {"reglu", {"model.ffn.activation=reglu"}},
        {"relu2", {"model.ffn.activation=relu2"}},
        {"gelu", {"model.ffn.activation=gelu"}},
        {"geglu_tanh", {"model.ffn.activation=geglu_tanh"}},
        {"gelu_tanh", {"model.ffn.activation=gelu_tanh"}},
        {"clamped_swiglu", {"model.ffn.activation=clamped_swiglu"}}}},
      {"attention",
       {{"one", {}},
        {"local_and_full",
         {"model.mixers={local: {window: 5, sinks: true, rope: {pairing: interleaved}}, full: {qk_norm: "
          "full, "
          "rope: null, softcap: 20}}",
          "model.layer_pattern=[local, full]"}},
        {"latent",
         {"model.attention={kind: mla, heads: 3, latent: {query_rank: 12, kv_rank: 10, nope_dim: 6, "
          "rope_dim: 4, value_dim: 7}}"}},
        {"gated_and_strided",
         {"model.attention={output_gate: true, window: 3, stride: 5, rope: {scaling: {kind: ntk, factor: "
          "2}}}",
          "model.dropout.attention=0.2"}}}},
      {"norm",
       {{"pre", {}},
        {"sandwich", {"model.norm={kind: rms_plus_one, placement: sandwich}", "model.logits.softcap=30"}},
        {"parallel",
         {"model.norm={kind: layer_norm, bias: true, placement: parallel}",
          "model.dropout={embedding: 0.1, ffn: 0.1, residual: 0.2}"}},
        {"deepnorm",
         {"model.norm.placement=deepnorm", "model.init.kind=xavier", "model.logits.normed=true"}}}},
      {"mup",
       {{"no", {}}, {"yes", {"model.mup={base_width: 16, base_head_dim: 4}", moe("output_scale=0.7")}}}},
      {"bias", {{"no", {}}, {"yes", {"model.ffn.bias=true"}}}},
      {"shared", {{"one", {}}, {"none", {moe("shared_experts=0")}}, {"gated", {moe("shared_gate=true")}}}},
      {"every",
       {{"one", {}}, {"two", {moe("every=2")}}, {"shortcut", {moe("every=2"), moe("shortcut=true")}}}},
      {"mtp", {{"none", {}}, {"two", {"model.mtp.depth=2"}}}},
      {"microbatch", {{"one", {}}, {"two", {"batch.micro_batch=2"}}}},
      {"dispatch",
       {{"plain", {}},
        {"chunked", {"parallel.dispatch.max_bytes=2048"}},
        {"hierarchical", {"parallel.dispatch.hierarchical=true", "parallel.dispatch.workers_per_node=2"}},
        {"bf16", {"parallel.dispatch.dtype=bf16"}}}},
      {"placement",
       {{"contiguous", {}}, {"balanced", {"parallel.placement=balanced", "parallel.placement_every=1"}}}},
      {"co_activation", {{"no", {}}, {"yes", {moe("co_activation=true")}}}},
  };
}

bool accepted(const Row& row) {
  static const auto tiny = std::string(TROUPE_SOURCE_DIR "/configs/tiny.yaml");
  try {
    static_cast<void>(configs::load_config(tiny, settings(row)));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

std::vector<ValuePair> all_pairs() {
  std::vector<ValuePair> pairs;
  for (std::size_t a = 0; a < factors().size(); ++a) {
    for (std::size_t b = a + 1; b < factors().size(); ++b) {
      for (std::size_t i = 0; i < factors()[a].values.size(); ++i) {
        for (std::size_t j = 0; j < factors()[b].values.size(); ++j) pairs.push_back({a, i, b, j});
      }
    }
  }
  return pairs;
}

/// Draws rows that hold a pair; each factor in random order takes a value that keeps the row accepted.
class RowSearch {
 public:
  /// A row that holds `pair`, and otherwise random values as far as they are accepted; empty when not
  /// even the defaults of the other factors, or any one change to them, are.
  [[nodiscard]] Row find(const ValuePair& pair) {
    Row row(factors().size(), 0);
    row[pair.first_factor] = pair.first_value;
    row[pair.second_factor] = pair.second_value;
    const auto fixed = [&](std::size_t factor) {
      return factor == pair.first_factor || factor == pair.second_factor;
    };
    for (int change = 0; change < kChangesPerTry && !accepted(row); ++change) {
      const std::size_t factor = below(factors().size());
      if (!fixed(factor)) row[factor] = below(factors()[factor].values.size());
    }
    if (!accepted(row)) return {};
    for (std::size_t factor = 0; factor < row.size(); ++factor) {
      if (fixed(factor)) continue;
      const std::size_t before = std::exchange(row[factor], below(factors()[factor].values.size()));
      if (row[factor] != before && !accepted(row)) row[factor] = before;
    }
    return row;
  }

 private:
  std::size_t below(std::size_t bound) { return random_.below(next_++, bound); }

  Random random_{1, RandomPurpose::kTest};
  std::uint64_t next_ = 0;
};

ConfigurationTable make_table() {
  ConfigurationTable table;
  std::vector<ValuePair> open = all_pairs();
  RowSearch search;
  while (!open.empty()) {
    Row best;
    std::ptrdiff_t most = 0;
    for (int attempt = 0; attempt < kTriesPerPair; ++attempt) {
      Row row = search.find(open.back());
      if (row.empty()) break;
      const auto covered = std::ranges::count_if(open, [&](const ValuePair& pair) { return pair.in(row); });
      if (covered > most) {
        best = std::move(row);
        most = covered;
      }
    }
    if (best.empty()) {
      table.refused.push_back(open.back());
      open.pop_back();
      continue;
    }
    std::erase_if(open, [&](const ValuePair& pair) { return pair.in(best); });
    table.rows.push_back(std::move(best));
  }
  return table;
}

}  // namespace

const std::vector<Factor>& factors() {
  static const std::vector<Factor> all = make_factors();
  return all;
}

std::vector<std::string> settings(const Row& row) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const auto& value = factors()[i].values[row[i]].settings;
    all.insert(all.end(), value.begin(), value.end());
  }
  return all;
}

std::string describe(const Row& row) {
  std::string text;
  for (std::size_t i = 0; i < row.size(); ++i)
    text += (i == 0 ? "" : " ") + factors()[i].name + "=" + factors()[i].values[row[i]].name;
  return text;
}

const ConfigurationTable& configuration_table() {
  static const ConfigurationTable table = make_table();
  return table;
}

}  // namespace troupe::test
