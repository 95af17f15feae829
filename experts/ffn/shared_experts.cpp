#include "experts/ffn/shared_experts.h"

#include <cmath>
#include <numeric>

#include "experts/rows.h"
#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::experts {

using ops::Accumulate;
using ops::Transpose;

namespace {

layers::FeedForward::Meanwhile moving(comm::Pending& exchange) {
  return [&exchange] { exchange.progress(); };
}

}  // namespace

void SharedExperts::declare(layers::Declaration& declaration, const MoeOptions& options,
                            const layers::FfnForm& form, std::int64_t hidden_size) {
  layers::FeedForward::declare(declaration, form, hidden_size, options.shared_experts * options.expert_size);
  if (!options.shared_gate) return;
  const std::int64_t tokens = declaration.tokens();
  declaration.matrix("gate_weight", ParameterRole::kGate, 1, hidden_size);
  declaration.keep(tokens);
  declaration.keep(tokens * hidden_size);
  declaration.keep(tokens);
  declaration.use_in_backward(tokens * (hidden_size + 1));
}

SharedExperts::SharedExperts(const MoeOptions& options, const layers::FfnForm& form,
                             const ParameterTable& table, const std::string& prefix,
                             const layers::Dropout& dropout)
    : ffn_(form, table, prefix, options.shared_experts * options.expert_size, dropout) {
  if (options.shared_gate) gate_.emplace(table, prefix + "gate_weight");
}

SharedExperts::Saved SharedExperts::allocate(Arena& arena, std::int64_t tokens, std::int64_t hidden) const {
  Saved saved{.ffn = ffn_.allocate(arena, tokens), .gate = {}, .output = {}, .rows = {}};
  if (!gate_) return saved;
  saved.gate = arena.allocate({tokens, 1});
  saved.output = arena.allocate({tokens, hidden});
  saved.rows = arena.allocate({tokens, 1}, DType::kI32);
  std::iota(saved.rows.i32(), saved.rows.i32() + tokens, 0);
  return saved;
}

void SharedExperts::expand(const Pass& pass, ConstTensorView x, const Saved& saved,
                           comm::Pending& exchange) const {
  if (gate_) {
    ops::gemm(pass.execution, Transpose::kNo, Transpose::kYes, x, gate_->value(pass.dense), saved.gate);
    for (float& value : saved.gate.floats()) value = 1.0F / (1.0F + std::exp(-value));
  }
  ffn_.expand(pass, x, saved.ffn, moving(exchange));
}

void SharedExperts::contract(const Pass& pass, const Saved& saved, TensorView y,
                             comm::Pending& exchange) const {
  if (!gate_) return ffn_.contract(pass, saved.ffn, y, moving(exchange));
  ffn_.contract(pass, saved.ffn, saved.output, moving(exchange));
  ops::combine_rows(pass.execution, saved.output, saved.rows, saved.gate, {}, y);
}

void SharedExperts::backward_contract(const Pass& pass, ConstTensorView dy, const Saved& saved,
                                      comm::Pending& exchange) const {
  if (!gate_) return ffn_.backward_contract(pass, dy, saved.ffn, moving(exchange));
  {
    const ArenaScope scope(pass.arena);
    const TensorView doutput = pass.arena.allocate(saved.output.shape());
    const TensorView dgate = pass.arena.allocate(saved.gate.shape());
    ops::combine_rows_backward(pass.execution, dy, saved.output, saved.rows, saved.gate, doutput, dgate);
    std::ranges::copy(doutput.floats(), saved.output.floats().begin());
    for (std::int64_t t = 0; t < dgate.rows(); ++t) {
      float& gate = saved.gate.f32()[t];
      gate = dgate.f32()[t] * gate * (1.0F - gate);
    }
  }
  ffn_.backward_contract(pass, saved.output, saved.ffn, moving(exchange));
}

void SharedExperts::backward_expand(const Pass& pass, ConstTensorView dy, ConstTensorView x,
                                    const Saved& saved, TensorView dx, comm::Pending& exchange) const {
  if (!gate_) return ffn_.backward_expand(pass, dy, x, saved.ffn, dx, moving(exchange));
  ffn_.backward_expand(pass, saved.output, x, saved.ffn, dx, moving(exchange));
  ops::gemm(pass.execution, Transpose::kNo, Transpose::kNo, saved.gate, gate_->value(pass.dense), dx,
            Accumulate::kYes);
  ops::gemm(pass.execution, Transpose::kYes, Transpose::kNo, saved.gate, x,
            gate_->gradient(pass.dense_gradient));
}

}  // namespace troupe::experts
