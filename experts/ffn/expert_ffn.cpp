#include "experts/ffn/expert_ffn.h"

#include "tensor/ops/activation/activation.h"
#include "tensor/parallel.h"

namespace troupe::experts {

ExpertFfn::ExpertFfn(const FfnForm& form, const ParameterTable& table, const std::string& prefix,
                     std::int64_t expert_size, std::span<const int> experts)
    : kind_(form.activation), expert_size_(expert_size) {
  for (const int expert : experts) {
    experts_.push_back({{table, prefix + input_projection(form), form.bias, expert},
                        {table, prefix + "down", form.bias, expert}});
  }
}

ExpertFfn::Saved ExpertFfn::allocate(Arena& arena, const DispatchChunk& chunk) const {
  return {arena.allocate({chunk.rows_received(), ops::input_columns(kind_) * expert_size_}),
          arena.allocate({chunk.rows_received(), expert_size_})};
}

template <class Body>
void ExpertFfn::for_experts(const Pass& pass, const Body& body) const {
  const auto count = static_cast<std::int64_t>(experts_.size());
  // With fewer experts the tiles of each product are split instead; the bits are the same.
  const bool split_experts = count >= 2 * pass.execution.threads;
  parallel_for(split_experts ? pass.execution : Execution{1}, count,
               [&](std::int64_t expert) { body(static_cast<int>(expert)); });
}

void ExpertFfn::forward(const Pass& pass, const DispatchChunk& chunk, ConstTensorView x, const Saved& saved,
                        TensorView y) const {
  for_experts(pass, [&](int index) {
    const Expert& expert = experts_[static_cast<std::size_t>(index)];
    for (int source = 0; source < chunk.sources(); ++source) {
      const auto [first, rows] = chunk.segment(source, index);
      if (rows == 0) continue;
      const TensorView projected = saved.projected.rows(first, rows);
      const TensorView activation = saved.activation.rows(first, rows);
      expert.input.forward(pass.execution, pass.experts, x.rows(first, rows), projected);
      ops::activation_forward(pass.execution, kind_, projected, activation);
      expert.down.forward(pass.execution, pass.experts, activation, y.rows(first, rows));
    }
  });
}

void ExpertFfn::backward(const Pass& pass, const DispatchChunk& chunk, ConstTensorView dy, ConstTensorView x,
                         const Saved& saved, TensorView dx) const {
  const ArenaScope scope(pass.arena);
  const TensorView dactivations = pass.arena.allocate(saved.activation.shape());
  for_experts(pass, [&](int index) {
    const Expert& expert = experts_[static_cast<std::size_t>(index)];
    for (int source = 0; source < chunk.sources(); ++source) {
      const auto [first, rows] = chunk.segment(source, index);
      if (rows == 0) continue;
      const auto lane = static_cast<std::size_t>(pass.lane_of_source[static_cast<std::size_t>(source)]);
      const std::span<float> gradient = pass.expert_gradient_lanes[lane];
      const TensorView projected = saved.projected.rows(first, rows);
      const TensorView dactivation = dactivations.rows(first, rows);
      const ConstTensorView dy_rows = dy.rows(first, rows);
      expert.down.backward(pass.execution, pass.experts, dy_rows, dactivation);
      expert.down.weight_gradients(pass.execution, dy_rows, saved.activation.rows(first, rows), gradient,
                                   ops::Accumulate::kYes);
      ops::activation_backward(pass.execution, kind_, dactivation, projected, projected);
      expert.input.weight_gradients(pass.execution, projected, x.rows(first, rows), gradient,
                                    ops::Accumulate::kYes);
      expert.input.backward(pass.execution, pass.experts, projected, dx.rows(first, rows));
    }
  });
}

}  // namespace troupe::experts
