#include "experts/ffn/feed_forward.h"

#include <algorithm>

#include "tensor/ops/activation/activation.h"

namespace troupe::experts {
namespace {

constexpr std::int64_t kPieceRows = 256;

/// Calls body(first, count) for pieces of rows, and lets the exchange move after each.
template <class Body>
void for_pieces(std::int64_t rows, comm::Pending& exchange, const Body& body) {
  for (std::int64_t first = 0; first < rows; first += kPieceRows) {
    body(first, std::min(kPieceRows, rows - first));
    exchange.progress();
  }
}

}  // namespace

FeedForward::Saved FeedForward::allocate(Arena& arena, std::int64_t tokens) const {
  return {arena.allocate({tokens, ops::input_columns(kind_) * size_}), arena.allocate({tokens, size_})};
}

void FeedForward::expand(const Pass& pass, ConstTensorView x, const Saved& saved,
                         comm::Pending& exchange) const {
  for_pieces(x.rows(), exchange, [&](std::int64_t first, std::int64_t count) {
    const TensorView projected = saved.projected.rows(first, count);
    input_.forward(pass.execution, pass.dense, x.rows(first, count), projected);
    ops::activation_forward(pass.execution, kind_, projected, saved.activation.rows(first, count));
  });
}

void FeedForward::contract(const Pass& pass, const Saved& saved, TensorView y,
                           comm::Pending& exchange) const {
  for_pieces(y.rows(), exchange, [&](std::int64_t first, std::int64_t count) {
    down_.forward(pass.execution, pass.dense, saved.activation.rows(first, count), y.rows(first, count));
  });
}

void FeedForward::backward_contract(const Pass& pass, ConstTensorView dy, const Saved& saved,
                                    comm::Pending& exchange) const {
  const ArenaScope scope(pass.arena);
  const TensorView dactivation = pass.arena.allocate({std::min(kPieceRows, dy.rows()), size_});
  for_pieces(dy.rows(), exchange, [&](std::int64_t first, std::int64_t count) {
    const TensorView piece = dactivation.rows(0, count);
    const TensorView projected = saved.projected.rows(first, count);
    down_.backward(pass.execution, pass.dense, dy.rows(first, count), piece);
    ops::activation_backward(pass.execution, kind_, piece, projected, projected);
  });
}

void FeedForward::backward_expand(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                                  TensorView dx, comm::Pending& exchange) const {
  for_pieces(dx.rows(), exchange, [&](std::int64_t first, std::int64_t count) {
    input_.backward(pass.execution, pass.dense, saved.projected.rows(first, count), dx.rows(first, count));
  });
  input_.weight_gradients(pass.execution, saved.projected, x, pass.dense_gradient, ops::Accumulate::kNo);
  exchange.progress();
  down_.weight_gradients(pass.execution, dy, saved.activation, pass.dense_gradient, ops::Accumulate::kNo);
  exchange.progress();
}

}  // namespace troupe::experts
