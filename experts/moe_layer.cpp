#include "experts/moe_layer.h"

#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::experts {
namespace {

void wait(const Pass& pass, comm::Pending& exchange, double& seconds) {
  const PhaseTimer timer(pass.clock, seconds);
  exchange.wait();
}

}  // namespace

MoeLayer::MoeLayer(const MoeOptions& options, const FfnForm& form, std::int64_t layer,
                   const std::string& prefix, const ParameterTable& dense, const ParameterTable& experts,
                   const ExpertGroup& group)
    : group_(group),
      layer_(layer),
      router_(options, layer, dense, prefix),
      experts_(form, experts, prefix + "experts/", options.expert_size, group.local()) {
  if (options.shared_experts > 0) {
    shared_.emplace(options, form, dense, prefix + "shared_experts/");
  }
}

TensorView MoeLayer::other_side(const Pass& pass, TensorView mine, std::int64_t rows) const {
  return group_.size() == 1 ? mine : pass.arena.allocate({rows, mine.columns()});
}

void MoeLayer::forward(const Pass& pass, ConstTensorView x, const RouterStep& step, const RouterSums& sums,
                       Saved& saved, TensorView y) {
  saved.routing = router_.forward(pass, x, step, sums);
  {
    const PhaseTimer timer(pass.clock, pass.seconds.dispatch);
    saved.plan.exchange_counts(pass.arena, saved.routing.dispatched);
  }
  allocate_saved(pass, x, saved);
  const ArenaScope scope(pass.arena);
  const TensorView shared_output = shared_ ? pass.arena.allocate(y.shape()) : TensorView();
  compute_outputs(pass, x, saved, shared_output);
  const PhaseTimer timer(pass.clock, pass.seconds.combine);
  ops::combine_rows(pass.execution, saved.returned, saved.plan.slots(), saved.routing.weights, shared_output,
                    y);
}

void MoeLayer::allocate_saved(const Pass& pass, ConstTensorView x, Saved& saved) const {
  saved.returned = pass.arena.allocate({saved.plan.rows_sent(), x.columns()});
  saved.received = pass.arena.allocate({saved.plan.rows_received(), x.columns()});
  saved.experts = experts_.allocate(pass.arena, saved.plan);
  if (shared_) saved.shared = shared_->allocate(pass.arena, x.rows(), x.columns());
}

/// saved.returned from the routed experts; shared_output from the shared ones, which compute while
/// rows travel.
void MoeLayer::compute_outputs(const Pass& pass, ConstTensorView x, Saved& saved,
                               TensorView shared_output) const {
  const TensorView sent = other_side(pass, saved.received, saved.plan.rows_sent());
  comm::Pending to_experts;
  {
    const PhaseTimer timer(pass.clock, pass.seconds.dispatch);
    ops::gather_rows(pass.execution, x, saved.plan.tokens(), sent);
    to_experts = saved.plan.start_to_experts(sent, saved.received);
  }
  if (shared_) shared_->expand(pass, x, saved.shared, to_experts);
  wait(pass, to_experts, pass.seconds.dispatch);

  const TensorView outputs = other_side(pass, saved.returned, saved.plan.rows_received());
  {
    const PhaseTimer timer(pass.clock, pass.seconds.expert);
    experts_.forward(pass, saved.plan, saved.received, saved.experts, outputs);
  }
  comm::Pending to_tokens = saved.plan.start_to_tokens(outputs, saved.returned);
  if (shared_) shared_->contract(pass, saved.shared, shared_output, to_tokens);
  wait(pass, to_tokens, pass.seconds.combine);
}

void MoeLayer::backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const RouterStep& step,
                        const layout::LayerStatistics& load, Saved& saved, TensorView dx) const {
  const ArenaScope scope(pass.arena);
  const TensorView drouted = pass.arena.allocate(saved.returned.shape());
  const TensorView dweights = pass.arena.allocate(saved.routing.weights.shape());
  {
    const PhaseTimer timer(pass.clock, pass.seconds.combine);
    ops::combine_rows_backward(pass.execution, dy, saved.returned, saved.plan.slots(), saved.routing.weights,
                               drouted, dweights);
  }
  backward_experts(pass, dy, x, saved, drouted, dx);
  router_.backward(pass, x, step, saved.routing, load, dweights, dx);
}

/// dx = shared experts' part + the slots' parts. drouted: [rows_sent, hidden], gradient of the outputs
void MoeLayer::backward_experts(const Pass& pass, ConstTensorView dy, ConstTensorView x, Saved& saved,
                                TensorView drouted, TensorView dx) const {
  const TensorView dreceived = other_side(pass, drouted, saved.plan.rows_received());
  comm::Pending to_experts = saved.plan.start_to_experts(drouted, dreceived);
  if (shared_) shared_->backward_contract(pass, dy, saved.shared, to_experts);
  wait(pass, to_experts, pass.seconds.dispatch);

  const TensorView dinputs = pass.arena.allocate(dreceived.shape());
  {
    const PhaseTimer timer(pass.clock, pass.seconds.expert);
    experts_.backward(pass, saved.plan, dreceived, saved.received, saved.experts, dinputs);
  }
  const TensorView dsent = other_side(pass, dinputs, saved.plan.rows_sent());
  comm::Pending to_tokens = saved.plan.start_to_tokens(dinputs, dsent);
  if (shared_) {
    shared_->backward_expand(pass, dy, x, saved.shared, dx, to_tokens);
  } else {
    ops::zero(pass.execution, dx.floats());
  }
  wait(pass, to_tokens, pass.seconds.dispatch);
  const PhaseTimer timer(pass.clock, pass.seconds.dispatch);
  ops::scatter_slots_add(pass.execution, dsent, saved.plan.slots(), dx);
}

}  // namespace troupe::experts
