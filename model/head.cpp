#include "model/head.h"

#include <algorithm>
#include <utility>

#include "base/index.h"
#include "tensor/ops/cross_entropy/cross_entropy.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/ops/softcap/softcap.h"
#include "tensor/ops/unit_rows/unit_rows.h"
#include "tensor/transfer.h"

namespace troupe::model {
namespace {

using ops::Accumulate;

/// Calls body(first, count) for chunks of rows, which the weight's gradient adds in order.
template <class Body>
void for_chunks(const Pass& pass, std::int64_t rows, const Body& body) {
  const std::int64_t most = piece_rows(pass.execution);
  for (std::int64_t first = 0; first < rows; first += most) body(first, std::min(most, rows - first));
}

}  // namespace

void Head::declare(layers::Declaration& declaration, const LogitOptions& logits, std::int64_t vocab_size,
                   std::int64_t hidden_size, bool tied) {
  if (tied) {
    declaration.multiply(vocab_size * hidden_size);
  } else {
    declaration.matrix("weight", ParameterRole::kHead, vocab_size, hidden_size);
  }
  if (logits.bias) declaration.vector("bias", ParameterRole::kOutputBias, vocab_size, 0.0F);
  declaration.use_in_backward(std::min(kHostPieceRows, declaration.tokens()) * vocab_size,
                              logits.softcap > 0.0 ? 2 : 1);
  if (logits.normed) declaration.use_in_backward(vocab_size);
}

Head::Head(layers::Projection projection, const LogitOptions& logits, double z_loss, std::int64_t max_tokens,
           Accelerator* accelerator)
    : projection_(std::move(projection)),
      logits_(logits),
      z_loss_(z_loss),
      losses_{Tensor({max_tokens}, DType::kF64), Tensor({max_tokens}, DType::kF64)} {
  if (accelerator == nullptr) return;
  device_losses_ = {Tensor({max_tokens}, DType::kF64, accelerator),
                    Tensor({max_tokens}, DType::kF64, accelerator)};
}

/// What columns of logits are multiplied with, [vocab], where rows of the weight are divided by their
/// lengths.
ConstTensorView Head::row_factors(const Pass& pass) const {
  if (!logits_.normed) return {};
  const TensorView factors = pass.arena.allocate({projection_.width()});
  ops::unit_row_factors(pass.execution, projection_.weight().value(pass.dense), factors);
  return factors;
}

/// logits: [rows, vocab], of rows of x; factors: of row_factors()
void Head::make_logits(const Pass& pass, ConstTensorView x, ConstTensorView factors,
                       TensorView logits) const {
  projection_.forward(pass.execution, pass.dense, x, logits);
  if (logits_.normed) ops::scale_columns(pass.execution, factors, logits);
  if (logits_.softcap > 0.0) {
    ops::softcap(pass.execution, logits_.scale, logits_.softcap, logits);
  } else if (logits_.scale != 1.0) {
    ops::affine(pass.execution, logits, static_cast<float>(logits_.scale), 0.0F, logits);
  }
}

/// gradient: of the logits that were made, becomes that of the projection's outputs.
void Head::backward_logits(const Pass& pass, ConstTensorView made, ConstTensorView factors,
                           TensorView gradient) const {
  if (logits_.softcap > 0.0) {
    ops::softcap_backward(pass.execution, gradient, made, logits_.scale, logits_.softcap, gradient);
  } else if (logits_.scale != 1.0) {
    ops::affine(pass.execution, gradient, static_cast<float>(logits_.scale), 0.0F, gradient);
  }
  if (logits_.normed) ops::scale_columns(pass.execution, factors, gradient);
}

/// Of every token, where the execution computes.
void Head::compute_losses(const Pass& pass, ConstTensorView x, ConstTensorView targets) {
  const ArenaScope scope(pass.arena);
  TokenLosses& losses = computed(pass);
  const ConstTensorView factors = row_factors(pass);
  const TensorView logits =
      pass.arena.allocate({std::min(piece_rows(pass.execution), x.rows()), projection_.width()});
  for_chunks(pass, x.rows(), [&](std::int64_t first, std::int64_t count) {
    const TensorView chunk = logits.rows(0, count);
    make_logits(pass, x.rows(first, count), factors, chunk);
    ops::cross_entropy_forward(pass.execution, chunk, targets.rows(first, count),
                               losses.nll.view().rows(first, count), losses.log_z.view().rows(first, count));
  });
}

void Head::forward(const Pass& pass, ConstTensorView x, ConstTensorView targets, std::span<double> token_nll,
                   MicrobatchResult& result) {
  compute_losses(pass, x, targets);
  start_downloads(pass, x.rows());
  if (Accelerator* accelerator = pass.execution.accelerator) accelerator->finish_downloads();
  add_sums(pass.microbatch, result);
  std::ranges::copy(losses_.nll.view().doubles().first(token_nll.size()), token_nll.begin());
}

void Head::forward_backward(const Pass& pass, ConstTensorView x, ConstTensorView targets,
                            std::span<const WeightedRows> rows, TensorView dx, Accumulate of_weight) {
  const ArenaScope scope(pass.arena);
  TokenLosses& losses = computed(pass);
  const ConstTensorView factors = row_factors(pass);
  const TensorView logits =
      pass.arena.allocate({std::min(piece_rows(pass.execution), x.rows()), projection_.width()});
  const bool bends = logits_.softcap > 0.0;
  const TensorView made = bends ? pass.arena.allocate(logits.shape()) : TensorView();
  if (x.rows() == 0) projection_.weight_gradients(pass.execution, logits, x, pass.dense_gradient, of_weight);
  for_chunks(pass, x.rows(), [&](std::int64_t first, std::int64_t count) {
    const TensorView chunk = logits.rows(0, count);
    make_logits(pass, x.rows(first, count), factors, chunk);
    if (bends) ops::affine(pass.execution, chunk, 1.0F, 0.0F, made.rows(0, count));
    for (const WeightedRows& part : rows) {
      const std::int64_t begin = std::max(part.begin, first);
      const std::int64_t size = std::min(part.end, first + count) - begin;
      if (size <= 0) continue;
      ops::cross_entropy_forward_backward(pass.execution, chunk.rows(begin - first, size),
                                          targets.rows(begin, size), static_cast<float>(part.weight),
                                          static_cast<float>(z_loss_), losses.nll.view().rows(begin, size),
                                          losses.log_z.view().rows(begin, size));
    }
    backward_logits(pass, bends ? made.rows(0, count) : made, factors, chunk);
    projection_.backward(pass.execution, pass.dense, chunk, dx.rows(first, count));
    projection_.weight_gradients(pass.execution, chunk, x.rows(first, count), pass.dense_gradient,
                                 first == 0 ? of_weight : Accumulate::kYes);
  });
  if (logits_.normed)
    ops::unit_rows_backward(pass.execution, projection_.weight().value(pass.dense), factors,
                            projection_.weight().gradient(pass.dense_gradient));
  start_downloads(pass, x.rows());
}

void Head::score(const Pass& pass, ConstTensorView x, ConstTensorView targets, std::span<PairScores> scores) {
  compute_losses(pass, x, targets);
  const auto nll = losses_.nll.view().doubles();
  const auto log_probability = [&](std::int64_t begin, std::int64_t end) {
    double sum = 0.0;
    for (std::int64_t t = begin; t < end; ++t) sum -= nll[at(t)];
    return sum;
  };
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const PreferencePair& pair = pass.microbatch.pairs[i];
    scores[i] = {log_probability(pair.chosen, pair.rejected), log_probability(pair.rejected, pair.end)};
  }
}

void Head::forward_backward_pairs(const Pass& pass, ConstTensorView x, ConstTensorView targets,
                                  const ObjectiveOptions& objective, double scale,
                                  std::span<PairScores> scores, TensorView dx) {
  score(pass, x, targets, scores);
  weighted_.clear();
  std::int64_t end = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const PreferencePair& pair = pass.microbatch.pairs[i];
    const double slope = pair_loss(margin_of(objective, pair, scores[i])).slope;
    const double weight = -scale * objective.beta * slope;  // of the chosen half's nll
    weighted_.push_back({end, pair.chosen, 0.0});
    weighted_.push_back({pair.chosen, pair.rejected, weight});
    weighted_.push_back({pair.rejected, pair.end, -weight});
    end = pair.end;
  }
  weighted_.push_back({end, x.rows(), 0.0});
  forward_backward(pass, x, targets, weighted_, dx);
}

void Head::start_downloads(const Pass& pass, std::int64_t rows) {
  Accelerator* accelerator = pass.execution.accelerator;
  if (accelerator == nullptr) return;
  const auto start = [&](const Tensor& from, Tensor& to) {
    accelerator->start_download(from.view().data(),
                                std::as_writable_bytes(to.view().doubles().first(at(rows))));
  };
  start(device_losses_.nll, losses_.nll);
  start(device_losses_.log_z, losses_.log_z);
}

void Head::add_sums(const MicrobatchInput& input, MicrobatchResult& result) const {
  const std::int64_t tokens = input.tokens.elements();
  result.nll = nll_sum(tokens);
  result.log_z_squared = 0.0;
  result.target_tokens = input.target_tokens;
  for (const double log_z : losses_.log_z.view().doubles().first(at(tokens)))  // of a masked one 0
    result.log_z_squared += log_z * log_z;
}

double Head::nll_sum(std::int64_t tokens) const {
  double sum = 0.0;
  for (const double nll : losses_.nll.view().doubles().first(at(tokens))) sum += nll;  // of a masked one 0
  return sum;
}

void Head::logits_of_row(const Pass& pass, ConstTensorView x, std::int64_t row,
                         std::span<float> logits) const {
  const TensorView host(logits.data(), Shape{1, projection_.width()});
  const ConstTensorView factors = row_factors(pass);
  if (pass.execution.accelerator == nullptr) return make_logits(pass, x.rows(row, 1), factors, host);
  const TensorView out = pass.arena.allocate(host.shape());
  make_logits(pass, x.rows(row, 1), factors, out);
  transfer(pass.execution.accelerator, out, host);
}

layers::Projection head_projection(const ModelOptions& options, const ParameterTable& dense,
                                   const layers::Embedding& embedding) {
  std::optional<ParameterHandle> bias;
  if (options.logits.bias) bias.emplace(dense, "head/bias");
  return layers::Projection(
      options.tie_embeddings ? embedding.weight() : ParameterHandle(dense, "head/weight"), bias);
}

}  // namespace troupe::model
