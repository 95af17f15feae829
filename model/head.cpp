#include "model/head.h"

#include <algorithm>

#include "base/index.h"
#include "tensor/ops/cross_entropy/cross_entropy.h"

namespace troupe::model {
namespace {

using ops::Accumulate;

constexpr std::int64_t kChunkRows =
    256;  // part of the arithmetic: the weight's gradient adds chunks in order

/// Calls body(first, count) for chunks of rows.
template <class Body>
void for_chunks(std::int64_t rows, const Body& body) {
  for (std::int64_t first = 0; first < rows; first += kChunkRows)
    body(first, std::min(kChunkRows, rows - first));
}

}  // namespace

void Head::declare(layers::Declaration& declaration, std::int64_t vocab_size, std::int64_t hidden_size,
                   bool tied) {
  if (tied) {
    declaration.multiply(vocab_size * hidden_size);
  } else {
    declaration.matrix("weight", ParameterRole::kHead, vocab_size, hidden_size);
  }
  declaration.use_in_backward(std::min(kChunkRows, declaration.tokens()) * vocab_size);
}

Head::Head(const ParameterHandle& weight, double z_loss, std::int64_t max_tokens)
    : projection_(weight), z_loss_(z_loss), nll_(at(max_tokens)), log_z_(at(max_tokens)) {}

void Head::forward(const Pass& pass, ConstTensorView x, ConstTensorView targets, std::span<double> token_nll,
                   MicrobatchResult& result) {
  const ArenaScope scope(pass.arena);
  const TensorView logits = pass.arena.allocate({std::min(kChunkRows, x.rows()), projection_.width()});
  for_chunks(x.rows(), [&](std::int64_t first, std::int64_t count) {
    const TensorView chunk = logits.rows(0, count);
    projection_.forward(pass.execution, pass.dense, x.rows(first, count), chunk);
    ops::cross_entropy_forward(pass.execution, chunk, targets.rows(first, count), part(nll_, first, count),
                               part(log_z_, first, count));
  });
  add_sums(targets, result);
  std::ranges::copy(part(nll_, 0, static_cast<std::int64_t>(token_nll.size())), token_nll.begin());
}

void Head::forward_backward(const Pass& pass, ConstTensorView x, ConstTensorView targets, float scale,
                            TensorView dx, MicrobatchResult& result) {
  const ArenaScope scope(pass.arena);
  const TensorView logits = pass.arena.allocate({std::min(kChunkRows, x.rows()), projection_.width()});
  if (x.rows() == 0) projection_.weight_gradients(pass.execution, logits, x, pass.dense_gradient);
  for_chunks(x.rows(), [&](std::int64_t first, std::int64_t count) {
    const TensorView chunk = logits.rows(0, count);
    projection_.forward(pass.execution, pass.dense, x.rows(first, count), chunk);
    ops::cross_entropy_forward_backward(pass.execution, chunk, targets.rows(first, count), scale,
                                        static_cast<float>(z_loss_), part(nll_, first, count),
                                        part(log_z_, first, count));
    projection_.backward(pass.execution, pass.dense, chunk, dx.rows(first, count));
    projection_.weight_gradients(pass.execution, chunk, x.rows(first, count), pass.dense_gradient,
                                 first == 0 ? Accumulate::kNo : Accumulate::kYes);
  });
  add_sums(targets, result);
}

void Head::add_sums(ConstTensorView targets, MicrobatchResult& result) const {
  result.nll = 0.0;
  result.log_z_squared = 0.0;
  result.target_tokens = 0;
  for (std::int64_t token = 0; token < targets.rows(); ++token) {
    const auto index = at(token);
    if (targets.i32()[token] < 0) continue;
    result.nll += nll_[index];
    result.log_z_squared += log_z_[index] * log_z_[index];
    ++result.target_tokens;
  }
}

void Head::logits_of_row(const Pass& pass, ConstTensorView x, std::int64_t row,
                         std::span<float> logits) const {
  const TensorView out(logits.data(), Shape{1, projection_.width()});
  projection_.forward(pass.execution, pass.dense, x.rows(row, 1), out);
}

}  // namespace troupe::model
