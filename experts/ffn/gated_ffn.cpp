#include "experts/ffn/gated_ffn.h"

#include <algorithm>

#include "tensor/ops/gemm/gemm.h"
#include "tensor/ops/swiglu/swiglu.h"

namespace troupe::experts {
namespace {

using ops::Transpose;

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

GatedFfn::Saved GatedFfn::allocate(Arena& arena, std::int64_t tokens) const {
  return {arena.allocate({tokens, 2 * size_}), arena.allocate({tokens, size_})};
}

void GatedFfn::expand(const Pass& pass, ConstTensorView x, const Saved& saved,
                      comm::Pending& exchange) const {
  for_pieces(x.rows(), exchange, [&](std::int64_t first, std::int64_t count) {
    const TensorView gate_up = saved.gate_up.rows(first, count);
    ops::gemm(pass.execution, Transpose::kNo, Transpose::kYes, x.rows(first, count),
              gate_up_.value(pass.dense), gate_up);
    ops::swiglu_forward(pass.execution, gate_up, saved.activation.rows(first, count));
  });
}

void GatedFfn::contract(const Pass& pass, const Saved& saved, TensorView y, comm::Pending& exchange) const {
  for_pieces(y.rows(), exchange, [&](std::int64_t first, std::int64_t count) {
    ops::gemm(pass.execution, Transpose::kNo, Transpose::kYes, saved.activation.rows(first, count),
              down_.value(pass.dense), y.rows(first, count));
  });
}

void GatedFfn::backward_contract(const Pass& pass, ConstTensorView dy, const Saved& saved,
                                 comm::Pending& exchange) const {
  const ArenaScope scope(pass.arena);
  const TensorView dactivation = pass.arena.allocate({std::min(kPieceRows, dy.rows()), size_});
  for_pieces(dy.rows(), exchange, [&](std::int64_t first, std::int64_t count) {
    const TensorView piece = dactivation.rows(0, count);
    const TensorView gate_up = saved.gate_up.rows(first, count);
    ops::gemm(pass.execution, Transpose::kNo, Transpose::kNo, dy.rows(first, count), down_.value(pass.dense),
              piece);
    ops::swiglu_backward(pass.execution, piece, gate_up, gate_up);
  });
}

void GatedFfn::backward_expand(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                               TensorView dx, comm::Pending& exchange) const {
  const ConstTensorView dgate_up = saved.gate_up;
  for_pieces(dx.rows(), exchange, [&](std::int64_t first, std::int64_t count) {
    ops::gemm(pass.execution, Transpose::kNo, Transpose::kNo, dgate_up.rows(first, count),
              gate_up_.value(pass.dense), dx.rows(first, count));
  });
  ops::gemm(pass.execution, Transpose::kYes, Transpose::kNo, dgate_up, x,
            gate_up_.gradient(pass.dense_gradient));
  exchange.progress();
  ops::gemm(pass.execution, Transpose::kYes, Transpose::kNo, dy, saved.activation,
            down_.gradient(pass.dense_gradient));
  exchange.progress();
}

}  // namespace troupe::experts
