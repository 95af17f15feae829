#include "experts/ffn/expert_ffn.h"

#include "tensor/ops/gemm/gemm.h"
#include "tensor/ops/swiglu/swiglu.h"
#include "tensor/parallel.h"

namespace troupe::experts {

using ops::Accumulate;
using ops::Transpose;

ExpertFfn::ExpertFfn(const ParameterTable& table, const std::string& prefix, std::int64_t expert_size,
                     int first_expert, int experts)
    : expert_size_(expert_size) {
  for (int expert = first_expert; expert < first_expert + experts; ++expert) {
    experts_.push_back({{table, prefix + "gate_up_proj", expert}, {table, prefix + "down_proj", expert}});
  }
}

ExpertFfn::Saved ExpertFfn::allocate(Arena& arena, const DispatchPlan& plan) const {
  return {arena.allocate({plan.rows_received(), 2 * expert_size_}),
          arena.allocate({plan.rows_received(), expert_size_})};
}

template <class Body>
void ExpertFfn::for_experts(const Pass& pass, const Body& body) const {
  const auto count = static_cast<std::int64_t>(experts_.size());
  // With fewer experts the tiles of each product are split instead; the bits are the same.
  const bool split_experts = count >= 2 * pass.execution.threads;
  parallel_for(split_experts ? pass.execution : Execution{1}, count,
               [&](std::int64_t expert) { body(static_cast<int>(expert)); });
}

void ExpertFfn::forward(const Pass& pass, const DispatchPlan& plan, ConstTensorView x, const Saved& saved,
                        TensorView y) const {
  for_experts(pass, [&](int index) {
    const Expert& expert = experts_[static_cast<std::size_t>(index)];
    for (int source = 0; source < plan.sources(); ++source) {
      const auto [first, rows] = plan.segment(source, index);
      if (rows == 0) continue;
      const TensorView gate_up = saved.gate_up.rows(first, rows);
      const TensorView activation = saved.activation.rows(first, rows);
      ops::gemm(pass.execution, Transpose::kNo, Transpose::kYes, x.rows(first, rows),
                expert.gate_up.value(pass.experts), gate_up);
      ops::swiglu_forward(pass.execution, gate_up, activation);
      ops::gemm(pass.execution, Transpose::kNo, Transpose::kYes, activation, expert.down.value(pass.experts),
                y.rows(first, rows));
    }
  });
}

void ExpertFfn::backward(const Pass& pass, const DispatchPlan& plan, ConstTensorView dy, ConstTensorView x,
                         const Saved& saved, TensorView dx) const {
  const ArenaScope scope(pass.arena);
  const TensorView dactivations = pass.arena.allocate(saved.activation.shape());
  for_experts(pass, [&](int index) {
    const Expert& expert = experts_[static_cast<std::size_t>(index)];
    for (int source = 0; source < plan.sources(); ++source) {
      const auto [first, rows] = plan.segment(source, index);
      if (rows == 0) continue;
      const auto lane = static_cast<std::size_t>(pass.lane_of_source[static_cast<std::size_t>(source)]);
      const std::span<float> gradient = pass.expert_gradient_lanes[lane];
      const TensorView gate_up = saved.gate_up.rows(first, rows);
      const TensorView dactivation = dactivations.rows(first, rows);
      const ConstTensorView dy_rows = dy.rows(first, rows);
      ops::gemm(pass.execution, Transpose::kNo, Transpose::kNo, dy_rows, expert.down.value(pass.experts),
                dactivation);
      ops::gemm(pass.execution, Transpose::kYes, Transpose::kNo, dy_rows, saved.activation.rows(first, rows),
                expert.down.gradient(gradient), Accumulate::kYes);
      ops::swiglu_backward(pass.execution, dactivation, gate_up, gate_up);
      ops::gemm(pass.execution, Transpose::kYes, Transpose::kNo, gate_up, x.rows(first, rows),
                expert.gate_up.gradient(gradient), Accumulate::kYes);
      ops::gemm(pass.execution, Transpose::kNo, Transpose::kNo, gate_up, expert.gate_up.value(pass.experts),
                dx.rows(first, rows));
    }
  });
}

}  // namespace troupe::experts
