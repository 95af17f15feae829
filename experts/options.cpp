#include "experts/options.h"

namespace troupe::experts {

void describe(Fields& fields, RouterOptions& options) {
  fields.choice("score", options.score, kScoreNames, "What turns router logits into scores");
  fields.choice("selection", options.selection, kSelectionNames, "How a token's experts are chosen");
  fields.flag("softmax_after_topk", options.softmax_after_topk,
              "Select on the logits, then softmax over the chosen ones only; needs score: softmax");
  fields.flag("normalize_weights", options.normalize_weights, "Divide the chosen weights by their sum");
  fields.real("scale", options.scale, {1e-6, 1e6}, "Factor on the chosen weights");
  fields.choice("weight_on", options.weight_on, kWeightOnNames,
                "What a weight multiplies: an expert's output or input");
  fields.flag("linear_bias", options.linear_bias, "A learned bias on the logits");
  fields.real("softcap", options.softcap, {0.0, 1e6}, "c: logits become c tanh(logit / c); 0: they do not");
  fields.real("jitter", options.jitter, {0.0, 1.0},
              "While training, the router's input is multiplied by U(1 - jitter, 1 + jitter)");
  fields.integer("zero_experts", options.zero_experts, {0, 1 << 16},
                 "Experts without compute: a token that chooses one keeps its value");
  fields.integer("groups", options.groups, {1, 1 << 16},
                 "Groups of experts, for group_limited; divides experts");
  fields.integer("top_groups", options.top_groups, {1, 1 << 16}, "Groups that a token may choose from");
  fields.choice("group_score", options.group_score, kGroupScoreNames,
                "What ranks groups: the best score in each, or the sum of its two best");
  fields.integer("sinkhorn_iterations", options.sinkhorn_iterations, {1, 1000},
                 "Rounds of row and column scaling");
  fields.real("z_loss", options.z_loss, kNonNegativeReal, "Coefficient of the mean of logsumexp(logits)^2");
  fields.real("init_scale", options.init_scale, {0.0, 1e3},
              "Factor on the router's initial standard deviation");
}

void describe(Fields& fields, BalancerOptions& options) {
  fields.choice("kind", options.kind, kBalancerNames,
                "How a bias on the selection follows each expert's load error");
  fields.schedule(
      "rate", options.rate, kNonNegativeReal,
      "Step of the bias, in score units; quantile: part of the way, 0.5 is usual; pid has gains instead");
  fields.real("kp", options.kp, kNonNegativeReal, "pid: gain of the load error");
  fields.real("ki", options.ki, kNonNegativeReal, "pid: gain of the summed load error");
  fields.real("kd", options.kd, kNonNegativeReal, "pid: gain of the load error's change");
  fields.real("integral_limit", options.integral_limit, kNonNegativeReal, "pid: bound of the summed error");
  fields.real("routed_per_token", options.routed_per_token, kNonNegativeReal,
              "proportional with zero experts: routed experts that a token should have on average; 0: "
              "their share of the choices");
}

void describe(Fields& fields, AuxLossOptions& options) {
  fields.choice(
      "kind", options.kind, kAuxLossKindNames,
      "load_balance: N sum f P; importance, load: of noisy top-k; orthogonal: of the router's rows");
  fields.choice(
      "scope", options.scope, kAuxScopeNames,
      "load_balance: whose load is counted: a microbatch's, a sequence's, the whole batch's, that of "
      "the accumulation steps so far, or the previous batch's");
  fields.schedule("coefficient", options.coefficient, kNonNegativeReal, "Factor on the loss");
  fields.choice("f_source", options.f_source, kFrequencySourceNames,
                "load_balance: which choice is counted, the one used or plain top-k of the scores");
}

void describe(Fields& fields, CapacityOptions& options) {
  fields.choice("kind", options.kind, kCapacityNames,
                "dropless: an expert takes every token routed to it; factor: as many as `factor` says");
  fields.real(
      "factor", options.factor, {1e-3, 1e6},
      "An expert takes ceil(top_k * tokens / experts * factor) tokens of a microbatch; also the size of "
      "expert_choice");
  fields.choice("drop_policy", options.drop_policy, kDropPolicyNames,
                "Which tokens a full expert keeps: the first ones, or those of the largest score");
}

void describe(Fields& fields, MoeOptions& options) {
  fields.integer("first_dense_layers", options.first_dense_layers, {0, 10'000},
                 "Layers without experts, before those with; all layers: a dense model");
  fields.integer("last_dense_layers", options.last_dense_layers, {0, 10'000},
                 "Layers without experts, after those with");
  fields.integer("every", options.every, {1, 10'000},
                 "After first_dense_layers, each such layer has experts and the others are dense");
  fields.integer("experts", options.experts, {1, 1 << 16}, "Routed experts of a layer");
  fields.integer("top_k", options.top_k, {1, 1 << 16}, "Experts of a token");
  fields.integer("expert_size", options.expert_size, {1, 1 << 20}, "Width of one expert");
  fields.integer("shared_experts", options.shared_experts, {0, 1 << 10},
                 "Experts that see every token: one feed-forward of this many times expert_size");
  fields.flag("shared_gate", options.shared_gate,
              "Multiply the shared experts' output by a learned sigmoid gate");
  fields.real("output_scale", options.output_scale, {1e-6, 1e6},
              "Factor on the sum of what routed and shared experts give");
  fields.flag("shortcut", options.shortcut,
              "The first layer of `every` has experts beside its feed-forward, and their output is added at "
              "the end of the last one (LongCat-Flash)");
  fields.flag("co_activation", options.co_activation,
              "Count which experts are chosen together, for the dashboard");
  fields.group("router", options.router, "Which experts a token goes to, with which weights");
  fields.group("balancer", options.balancer, "Keeps experts evenly used without a loss");
  fields.list(
      "aux_loss", "Auxiliary load-balancing losses, added up", options.aux_loss.size(),
      [&](std::size_t size) { options.aux_loss.resize(size); },
      [&](std::size_t index) { describe(fields, options.aux_loss[index]); });
  fields.group("capacity", options.capacity, "What happens to tokens of a full expert");
}

}  // namespace troupe::experts
