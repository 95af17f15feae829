#include "layers/feed_forward.h"

#include <algorithm>
#include <vector>

#include "base/index.h"
#include "tensor/ops/activation/activation.h"

namespace troupe::layers {
namespace {

/// Calls body(first, count) for pieces of rows, and `meanwhile` after each.
template <class Body>
void for_pieces(const Pass& pass, std::int64_t rows, const FeedForward::Meanwhile& meanwhile,
                const Body& body) {
  const std::int64_t most = piece_rows(pass.execution);
  for (std::int64_t first = 0; first < rows; first += most) {
    body(first, std::min(most, rows - first));
    if (meanwhile) meanwhile();
  }
}

}  // namespace

std::string input_projection(const FfnForm& form) {
  return ops::input_columns(form.activation) == 2 ? "gate_up" : "up";
}

void FeedForward::declare(Declaration& declaration, const FfnForm& form, std::int64_t hidden,
                          std::int64_t size) {
  declare_parameters(declaration, form, hidden, size);
  declaration.keep(declaration.tokens() * ops::input_columns(form.activation) * size);
  declaration.keep(declaration.tokens() * size);
  declaration.use_in_backward(std::min(kHostPieceRows, declaration.tokens()) * size);
}

void FeedForward::declare_parameters(Declaration& declaration, const FfnForm& form, std::int64_t hidden,
                                     std::int64_t size) {
  const std::vector<Declaration::Rows> parts(at(ops::input_columns(form.activation)), {size});
  Projection::declare(declaration, input_projection(form), Projection::Side::kInput, parts, hidden,
                      form.bias);
  Projection::declare(declaration, "down", Projection::Side::kOutput, hidden, size, form.bias);
}

FeedForward::Saved FeedForward::allocate(Arena& arena, std::int64_t tokens) const {
  return {arena.allocate({tokens, ops::input_columns(kind_) * size_}), arena.allocate({tokens, size_})};
}

void FeedForward::expand(const Pass& pass, ConstTensorView x, const Saved& saved,
                         const Meanwhile& meanwhile) const {
  for_pieces(pass, x.rows(), meanwhile, [&](std::int64_t first, std::int64_t count) {
    const TensorView projected = saved.projected.rows(first, count);
    input_.forward(pass.execution, pass.dense, x.rows(first, count), projected);
    ops::activation_forward(pass.execution, kind_, projected, saved.activation.rows(first, count));
    dropout_.apply(pass, saved.activation.rows(first, count), first);
  });
}

void FeedForward::contract(const Pass& pass, const Saved& saved, TensorView y,
                           const Meanwhile& meanwhile) const {
  for_pieces(pass, y.rows(), meanwhile, [&](std::int64_t first, std::int64_t count) {
    down_.forward(pass.execution, pass.dense, saved.activation.rows(first, count), y.rows(first, count));
  });
}

void FeedForward::backward_contract(const Pass& pass, ConstTensorView dy, const Saved& saved,
                                    const Meanwhile& meanwhile) const {
  const ArenaScope scope(pass.arena);
  const TensorView dactivation =
      pass.arena.allocate({std::min(piece_rows(pass.execution), dy.rows()), size_});
  for_pieces(pass, dy.rows(), meanwhile, [&](std::int64_t first, std::int64_t count) {
    const TensorView piece = dactivation.rows(0, count);
    const TensorView projected = saved.projected.rows(first, count);
    down_.backward(pass.execution, pass.dense, dy.rows(first, count), piece);
    dropout_.apply(pass, piece, first);
    ops::activation_backward(pass.execution, kind_, piece, projected, projected);
  });
}

void FeedForward::backward_expand(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                                  TensorView dx, const Meanwhile& meanwhile) const {
  for_pieces(pass, dx.rows(), meanwhile, [&](std::int64_t first, std::int64_t count) {
    input_.backward(pass.execution, pass.dense, saved.projected.rows(first, count), dx.rows(first, count));
  });
  input_.weight_gradients(pass.execution, saved.projected, x, pass.dense_gradient);
  if (meanwhile) meanwhile();
  down_.weight_gradients(pass.execution, dy, saved.activation, pass.dense_gradient);
  if (meanwhile) meanwhile();
}

}  // namespace troupe::layers
