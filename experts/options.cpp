#include "experts/options.h"

namespace troupe::experts {

void describe(Fields& fields, RouterOptions& options) {
  fields.choice("score", options.score, kScoreNames, "What turns router logits into scores");
  fields.choice("selection", options.selection, kSelectionNames, "How a token's experts are chosen");
  fields.flag("softmax_after_topk", options.softmax_after_topk,
              "Select on the logits, then softmax over the chosen ones only; needs score: softmax");
  fields.flag("normalize_weights", options.normalize_weights, "Divide the chosen weights by their sum");
  fields.real("scale", options.scale, {1e-6, 1e6}, "Factor on the chosen weights");
  fields.real("z_loss", options.z_loss, kNonNegativeReal, "Coefficient of the mean of logsumexp(logits)^2");
  fields.real("init_scale", options.init_scale, {0.0, 1e3},
              "Factor on the router's initial standard deviation");
}

void describe(Fields& fields, BalancerOptions& options) {
  fields.choice("kind", options.kind, kBalancerNames,
                "sign: a bias on the selection moves by the sign of each expert's load error");
  fields.schedule("rate", options.rate, kNonNegativeReal, "Step of the bias, in score units");
}

void describe(Fields& fields, AuxLossOptions& options) {
  fields.choice("scope", options.scope, kAuxScopeNames,
                "Where the load is counted: one microbatch, or the previous global batch");
  fields.schedule("coefficient", options.coefficient, kNonNegativeReal, "Factor on the loss");
  fields.choice("f_source", options.f_source, kFrequencySourceNames,
                "Which choice is counted: the one used, or plain top-k of the scores");
}

void describe(Fields& fields, CapacityOptions& options) {
  fields.choice("kind", options.kind, kCapacityNames, "dropless: an expert takes every token routed to it");
}

void describe(Fields& fields, MoeOptions& options) {
  fields.integer("first_dense_layers", options.first_dense_layers, {0, 10'000},
                 "Layers without experts, before those with; all layers: a dense model");
  fields.integer("experts", options.experts, {1, 1 << 16}, "Routed experts of a layer");
  fields.integer("top_k", options.top_k, {1, 1 << 16}, "Experts of a token");
  fields.integer("expert_size", options.expert_size, {1, 1 << 20}, "Width of one expert");
  fields.integer("shared_experts", options.shared_experts, {0, 1 << 10},
                 "Experts that see every token: one feed-forward of this many times expert_size");
  fields.group("router", options.router, "Which experts a token goes to, with which weights");
  fields.group("balancer", options.balancer, "Keeps experts evenly used without a loss");
  fields.list(
      "aux_loss", "Auxiliary load-balancing losses, added up", options.aux_loss.size(),
      [&](std::size_t size) { options.aux_loss.resize(size); },
      [&](std::size_t index) { describe(fields, options.aux_loss[index]); });
  fields.group("capacity", options.capacity, "What happens to tokens of a full expert");
}

}  // namespace troupe::experts
