#include "experts/moe_layer.h"

#include "base/random.h"
#include "layers/dropout.h"
#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::experts {
namespace {

void wait(const Pass& pass, comm::Pending& exchange, Phase phase) {
  const PhaseScope scope(pass.execution, phase);
  exchange.wait();
}

bool is_first(const DispatchChunk& chunk) { return chunk.index() == 0; }
bool is_last(const DispatchPlan& plan, const DispatchChunk& chunk) {
  return chunk.index() + 1 == plan.chunks();
}

/// A chunk's part of [rows_sent, hidden].
TensorView sent_part(TensorView rows, const DispatchChunk& chunk) {
  return rows.rows(chunk.first_sent_row(), chunk.rows_sent());
}

}  // namespace

void MoeLayer::declare(layers::Declaration& declaration, const MoeOptions& options,
                       const layers::FfnForm& form, std::int64_t hidden_size, std::int64_t moe_layer,
                       const RoutedRows& rows) {
  layers::Declaration router = declaration.part("router/", ParameterPart::kRouter);
  Router::declare(router, options, hidden_size);
  declaration.add(std::move(router));
  layers::Declaration experts = declaration.part("experts/", ParameterPart::kExperts);
  ExpertFfn::declare(experts, options, form, hidden_size, moe_layer, rows);
  declare_exchange(experts, hidden_size, rows);
  declaration.add(std::move(experts));

  const std::int64_t tokens = declaration.tokens();
  const std::int64_t slots = tokens * make_selector(options, declaration.layer())->slots(tokens);
  declaration.keep(rows.sent, 2);
  declaration.keep(slots);
  declaration.keep(rows.sent * hidden_size);  // returned
  declaration.use_in_backward(rows.sent * hidden_size, 2);
  declaration.use_in_backward(slots);
  if (options.output_scale != 1.0) declaration.use_in_backward(tokens * hidden_size);
  if (options.shared_experts == 0) return;
  declaration.use_in_forward(tokens * hidden_size);
  layers::Declaration shared = declaration.part("shared_experts/", ParameterPart::kSharedExperts);
  SharedExperts::declare(shared, options, form, hidden_size);
  declaration.add(std::move(shared));
}

/// Of rows on their way to the experts and back; what experts receive is sent again for backward where it
/// was not kept.
void MoeLayer::declare_exchange(layers::Declaration& declaration, std::int64_t hidden_size,
                                const RoutedRows& rows) {
  const std::int64_t received = rows.received * hidden_size;
  declaration.hold(rows.kept, received);
  declaration.use_in_forward(2 * rows.exchange);
  declaration.use_in_backward((rows.kept ? 2 : 3) * rows.exchange);
  if (rows.in_place) return;
  const std::int64_t sent = rows.sent * hidden_size;
  declaration.use_in_forward(sent);
  declaration.use_in_forward(received);  // outputs
  if (!rows.kept) declaration.use_in_backward(sent);
  declaration.use_in_backward(received, 2);
}

MoeLayer::MoeLayer(const MoeOptions& options, const layers::FfnForm& form, std::int64_t layer,
                   const std::string& prefix, const ParameterTable& dense, const ParameterTable& experts,
                   const ExpertGroup& group, Exchange& exchange, double dropout)
    : group_(group),
      exchange_(exchange),
      layer_(layer),
      output_scale_(static_cast<float>(options.output_scale)),
      router_(options, layer, dense, prefix),
      slot_weights_(make_slot_weights(options.router.weight_on)),
      experts_(form, experts, prefix + "experts/", options.expert_size, group.local(), dropout, layer) {
  if (options.shared_experts > 0) {
    shared_.emplace(options, form, dense, prefix + "shared_experts/",
                    layers::Dropout(dropout, layer, RandomPurpose::kFfnDropout));
  }
  if (options.router.zero_experts > 0) zero_experts_.emplace(options.experts);
}

TensorView MoeLayer::other_side(const Pass& pass, TensorView mine, std::int64_t rows) const {
  return exchange_.in_place() ? mine : pass.arena.allocate({rows, mine.columns()});
}

void MoeLayer::forward(const Pass& pass, ConstTensorView x, const StepContext& step,
                       const layout::LayerStatistics& load, Saved& saved, TensorView y) const {
  saved.routing = router_.forward(pass, x, step, load);
  {
    const PhaseScope phase(pass.execution, Phase::kDispatch);
    saved.plan.exchange_counts(pass.arena, saved.routing.dispatched, x.columns() * size_bytes(DType::kF32),
                               saved.routing.counts, pass.microbatch.first_token);
  }
  saved.returned = pass.arena.allocate({saved.plan.rows_sent(), x.columns()});
  if (shared_) saved.shared = shared_->allocate(pass.arena, x.rows(), x.columns());
  if (saved.plan.chunks() == 1)
    saved.experts = experts_.allocate(pass.arena, saved.plan.chunk(0), x.columns());

  const ArenaScope scope(pass.arena);
  const TensorView shared_output = shared_ ? pass.arena.allocate(y.shape()) : TensorView();
  for (int index = 0; index < saved.plan.chunks(); ++index)
    compute_chunk(pass, x, saved, saved.plan.chunk(index), shared_output);
  const PhaseScope phase(pass.execution, Phase::kCombine);
  slot_weights_->combine(pass, saved.returned, saved.plan, saved.routing.weights, shared_output, y);
  if (zero_experts_) zero_experts_->forward(pass, x, saved.routing.chosen, saved.routing.weights, y);
  if (output_scale_ != 1.0F) ops::affine(pass.execution, y, output_scale_, 0.0F, y);
}

/// A chunk of saved.returned from the routed experts; shared_output from the shared ones, which compute while
/// rows travel: with the first chunk's to the experts, with the last one's back.
void MoeLayer::compute_chunk(const Pass& pass, ConstTensorView x, const Saved& saved,
                             const DispatchChunk& chunk, TensorView shared_output) const {
  const ArenaScope scope(pass.arena);
  const ExpertFfn::Saved experts =
      saved.plan.chunks() == 1 ? saved.experts : experts_.allocate(pass.arena, chunk, x.columns());
  comm::Pending to_experts = start_to_experts(pass, x, saved, chunk, experts.input);
  if (shared_ && is_first(chunk)) shared_->expand(pass, x, saved.shared, to_experts);
  wait(pass, to_experts, Phase::kDispatch);

  const TensorView returned = sent_part(saved.returned, chunk);
  const TensorView outputs = other_side(pass, returned, chunk.rows_received());
  {
    const PhaseScope phase(pass.execution, Phase::kExpert);
    experts_.forward(pass, chunk, experts, outputs);
  }
  comm::Pending to_tokens = exchange_.start(pass, chunk.rows().reversed(), outputs, returned);
  if (shared_ && is_last(saved.plan, chunk)) shared_->contract(pass, saved.shared, shared_output, to_tokens);
  wait(pass, to_tokens, Phase::kCombine);
}

comm::Pending MoeLayer::start_to_experts(const Pass& pass, ConstTensorView x, const Saved& saved,
                                         const DispatchChunk& chunk, TensorView received) const {
  const PhaseScope phase(pass.execution, Phase::kDispatch);
  const TensorView sent = other_side(pass, received, chunk.rows_sent());
  slot_weights_->gather(pass, x, saved.plan, saved.routing.weights, chunk.first_sent_row(), sent);
  return exchange_.start(pass, chunk.rows(), sent, received);
}

void MoeLayer::backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const StepContext& step,
                        const RouterSums& sums, Saved& saved, TensorView dx) const {
  if (output_scale_ == 1.0F) return backward_scaled(pass, dy, x, step, sums, saved, dx);
  const ArenaScope scope(pass.arena);
  const TensorView scaled = pass.arena.allocate(dy.shape());
  ops::affine(pass.execution, dy, output_scale_, 0.0F, scaled);
  backward_scaled(pass, scaled, x, step, sums, saved, dx);
}

/// dy: of y before output_scale
void MoeLayer::backward_scaled(const Pass& pass, ConstTensorView dy, ConstTensorView x,
                               const StepContext& step, const RouterSums& sums, Saved& saved,
                               TensorView dx) const {
  const ArenaScope scope(pass.arena);
  const RoutingResult& routing = saved.routing;
  const TensorView doutputs = pass.arena.allocate(saved.returned.shape());
  const TensorView dinputs = pass.arena.allocate(saved.returned.shape());
  const TensorView dweights = pass.arena.allocate(routing.weights.shape());
  {
    const PhaseScope phase(pass.execution, Phase::kCombine);
    slot_weights_->combine_backward(pass, dy, saved.returned, saved.plan, routing.weights, doutputs,
                                    dweights);
  }
  backward_experts(pass, dy, x, saved, doutputs, dinputs, dx);
  {
    const PhaseScope phase(pass.execution, Phase::kDispatch);
    slot_weights_->gather_backward(pass, dinputs, x, saved.plan, routing.weights, dx, dweights);
  }
  if (zero_experts_) zero_experts_->backward(pass, dy, x, routing.chosen, routing.weights, dweights, dx);
  router_.backward(pass, x, step, routing, sums, dweights, dx);
}

/// dinputs from doutputs, [rows_sent, hidden]; dx = shared experts' part.
void MoeLayer::backward_experts(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                                TensorView doutputs, TensorView dinputs, TensorView dx) const {
  if (!shared_) ops::zero(pass.execution, dx);
  for (int index = 0; index < saved.plan.chunks(); ++index) {
    const ArenaScope scope(pass.arena);
    backward_chunk(pass, dy, x, saved, saved.plan.chunk(index), doutputs, dinputs, dx);
  }
}

void MoeLayer::backward_chunk(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                              const DispatchChunk& chunk, TensorView doutputs, TensorView dinputs,
                              TensorView dx) const {
  const TensorView sent = sent_part(doutputs, chunk);
  const TensorView returned = sent_part(dinputs, chunk);
  const TensorView doutput_rows = other_side(pass, sent, chunk.rows_received());
  const TensorView dinput_rows = other_side(pass, returned, chunk.rows_received());
  const ExpertFfn::Saved experts =
      saved.plan.chunks() == 1 ? saved.experts : receive_again(pass, x, saved, chunk, dinput_rows);

  comm::Pending to_experts = exchange_.start(pass, chunk.rows(), sent, doutput_rows);
  if (shared_ && is_first(chunk)) shared_->backward_contract(pass, dy, saved.shared, to_experts);
  wait(pass, to_experts, Phase::kDispatch);
  {
    const PhaseScope phase(pass.execution, Phase::kExpert);
    experts_.backward(pass, chunk, doutput_rows, experts, dinput_rows);
  }
  comm::Pending to_tokens = exchange_.start(pass, chunk.rows().reversed(), dinput_rows, returned);
  if (shared_ && is_last(saved.plan, chunk))
    shared_->backward_expand(pass, dy, x, saved.shared, dx, to_tokens);
  wait(pass, to_tokens, Phase::kDispatch);
}

/// A chunk's inputs and activations once more; its outputs go to `scratch`.
ExpertFfn::Saved MoeLayer::receive_again(const Pass& pass, ConstTensorView x, const Saved& saved,
                                         const DispatchChunk& chunk, TensorView scratch) const {
  const ExpertFfn::Saved experts = experts_.allocate(pass.arena, chunk, x.columns());
  comm::Pending to_experts = start_to_experts(pass, x, saved, chunk, experts.input);
  wait(pass, to_experts, Phase::kDispatch);
  const PhaseScope phase(pass.execution, Phase::kExpert);
  experts_.forward(pass, chunk, experts, scratch);
  return experts;
}

}  // namespace troupe::experts
