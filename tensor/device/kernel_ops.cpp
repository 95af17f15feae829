#include "tensor/device/kernel_ops.h"

#include <array>
#include <cmath>

#include "base/index.h"
#include "tensor/cuda/activation.h"
#include "tensor/cuda/attention.h"
#include "tensor/cuda/bias.h"
#include "tensor/cuda/cross_entropy.h"
#include "tensor/cuda/elementwise.h"
#include "tensor/cuda/embedding.h"
#include "tensor/cuda/heads.h"
#include "tensor/cuda/layer_norm.h"
#include "tensor/cuda/load_balance.h"
#include "tensor/cuda/plan.h"
#include "tensor/cuda/rms_norm.h"
#include "tensor/cuda/rope.h"
#include "tensor/cuda/slots.h"
#include "tensor/cuda/tally.h"

namespace troupe::device {
namespace {

using ops::Accumulate;
using ops::Transpose;

void check(const char* operand, const ConstTensorView& view, std::int64_t rows, std::int64_t columns) {
  TROUPE_CHECK(view.shape().rank() >= 1 && view.rows() == rows && view.columns() == columns,
               "{} is {}, expected [{}, {}]", operand, view.shape().to_string(), rows, columns);
}
void check_flat(const char* operand, const ConstTensorView& view, std::int64_t elements) {
  TROUPE_CHECK(view.contiguous() && view.elements() == elements, "{} is {}, expected [{}] without gaps",
               operand, view.shape().to_string(), elements);
}

cuda::Matrix<float> matrix(const TensorView& view) {
  return {view.device_data<float>(), view.rows(), view.columns(), view.row_stride()};
}
cuda::Matrix<const float> matrix(const ConstTensorView& view) {
  return {view.device_data<float>(), view.rows(), view.columns(), view.row_stride()};
}
cuda::Matrix<std::int32_t> integers(const TensorView& view) {
  return {view.device_data<std::int32_t>(), view.rows(), view.columns(), view.row_stride()};
}
cuda::Matrix<const std::int32_t> integers(const ConstTensorView& view) {
  return {view.device_data<std::int32_t>(), view.rows(), view.columns(), view.row_stride()};
}

/// Rows of a matrix as heads: one each.
template <class T, class View>
cuda::Heads<T> rows_of(const View& view) {
  return {view.template device_data<std::remove_const_t<T>>(), view.rows(), 1, view.columns(),
          view.row_stride()};
}

cuda::AttentionSizes sizes_of(const ops::AttentionShape& shape) {
  return {shape.sequences, shape.length, shape.heads, shape.kv_heads, shape.head_dim};
}

cuda::AttentionScores scores_of(const ops::AttentionShape& shape) {
  return {static_cast<float>(shape.scale), static_cast<float>(shape.softcap), shape.alibi};
}

/// Of one number per row or column; without data: null.
template <class View>
auto* optional_flat(const char* operand, const View& view, std::int64_t elements) {
  using Data = decltype(view.template device_data<float>());
  if (view.data() == nullptr) return Data{nullptr};
  check_flat(operand, view, elements);
  return view.template device_data<float>();
}

cuda::HeadChannels channels_of(const ops::HeadChannels& channels) { return {channels.dim, channels.first}; }

cuda::Segments segments_of(const ops::SegmentTable& table) {
  return {reinterpret_cast<const cuda::Segment*>(table.data), table.count, table.rows};
}

std::int64_t chunks_of(std::int64_t elements) {
  return (elements + cuda::kSquaresChunk - 1) / cuda::kSquaresChunk;
}

}  // namespace

template <class T>
T* KernelOps::scratch(std::int64_t count) {
  const std::size_t bytes = at(count) * sizeof(T);
  if (bytes > scratch_.bytes()) {
    device_.compute().synchronize();  // ops that use what goes now
    scratch_ = {};
    scratch_ = device_.allocate(bytes + bytes / 2);
  }
  return static_cast<T*>(scratch_.data());
}

void KernelOps::gemm(Transpose transpose_a, Transpose transpose_b, ConstTensorView a, ConstTensorView b,
                     TensorView c, Accumulate accumulate) {
  const bool a_is_transposed = transpose_a == Transpose::kYes;
  const bool b_is_transposed = transpose_b == Transpose::kYes;
  const std::int64_t k = a_is_transposed ? a.rows() : a.columns();
  check("gemm: a", a, a_is_transposed ? k : c.rows(), a_is_transposed ? c.rows() : k);
  check("gemm: b", b, b_is_transposed ? c.columns() : k, b_is_transposed ? k : c.columns());
  const cuda::GemmArguments arguments{.transpose_a = a_is_transposed,
                                      .transpose_b = b_is_transposed,
                                      .accumulate = accumulate == Accumulate::kYes,
                                      .a = matrix(a),
                                      .b = matrix(b),
                                      .c = matrix(c)};
  if (cublaslt_) return cublaslt_->gemm(stream(), arguments);
  cuda::gemm(stream(), arguments);
}

void KernelOps::add_bias(ConstTensorView bias, TensorView y) {
  check_flat("add_bias: bias", bias, y.columns());
  cuda::add_bias(stream(), bias.device_data<float>(), matrix(y));
}

void KernelOps::bias_gradient(ConstTensorView dy, TensorView dbias, Accumulate accumulate) {
  check_flat("bias_gradient: dbias", dbias, dy.columns());
  cuda::bias_gradient(stream(), matrix(dy), accumulate == Accumulate::kYes, dbias.device_data<float>(),
                      scratch<float>(cuda::bias_chunks(dy.rows()) * dy.columns()));
}

void KernelOps::activation_forward(ops::Activation activation, ConstTensorView x, TensorView y) {
  check("activation: x", x, y.rows(), ops::input_columns(activation) * y.columns());
  cuda::activation_forward(stream(), activation, matrix(x), matrix(y));
}

void KernelOps::activation_backward(ops::Activation activation, ConstTensorView dy, ConstTensorView x,
                                    TensorView dx) {
  check("activation: x", x, dy.rows(), ops::input_columns(activation) * dy.columns());
  check("activation: dx", dx, x.rows(), x.columns());
  cuda::activation_backward(stream(), activation, matrix(dy), matrix(x), matrix(dx));
}

void KernelOps::rms_norm_forward(ConstTensorView x, ConstTensorView weight, double eps, TensorView y,
                                 TensorView inv_rms) {
  check("rms_norm: y", y, x.rows(), x.columns());
  check_flat("rms_norm: weight", weight, x.columns());
  check_flat("rms_norm: inv_rms", inv_rms, x.rows());
  cuda::rms_norm_forward(stream(), {.x = rows_of<const float>(x),
                                    .residual = {},
                                    .stored = {},
                                    .weight = weight.device_data<float>(),
                                    .eps = static_cast<float>(eps),
                                    .y = rows_of<float>(y),
                                    .inv_rms = inv_rms.device_data<float>()});
}

void KernelOps::rms_norm_backward(ConstTensorView dy, ConstTensorView x, ConstTensorView weight,
                                  ConstTensorView inv_rms, TensorView dx, TensorView dweight,
                                  bool accumulate_dx) {
  check("rms_norm: dy", dy, x.rows(), x.columns());
  check("rms_norm: dx", dx, x.rows(), x.columns());
  check_flat("rms_norm: weight", weight, x.columns());
  check_flat("rms_norm: dweight", dweight, x.columns());
  check_flat("rms_norm: inv_rms", inv_rms, x.rows());
  cuda::rms_norm_backward(stream(),
                          {.dy = rows_of<const float>(dy),
                           .x = rows_of<const float>(x),
                           .weight = weight.device_data<float>(),
                           .inv_rms = inv_rms.device_data<float>(),
                           .dx = rows_of<float>(dx),
                           .accumulate_dx = accumulate_dx,
                           .dweight = dweight.device_data<float>(),
                           .partial = scratch<float>(cuda::rms_norm_chunks(x.rows()) * x.columns())});
}

void KernelOps::layer_norm_forward(ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                                   double eps, TensorView y, TensorView mean, TensorView inv_std) {
  check("layer_norm: y", y, x.rows(), x.columns());
  check_flat("layer_norm: weight", weight, x.columns());
  check_flat("layer_norm: mean", mean, x.rows());
  check_flat("layer_norm: inv_std", inv_std, x.rows());
  cuda::layer_norm_forward(stream(), {.x = matrix(x),
                                      .weight = weight.device_data<float>(),
                                      .bias = optional_flat("layer_norm: bias", bias, x.columns()),
                                      .eps = static_cast<float>(eps),
                                      .y = matrix(y),
                                      .mean = mean.device_data<float>(),
                                      .inv_std = inv_std.device_data<float>()});
}

void KernelOps::layer_norm_backward(ConstTensorView dy, ConstTensorView x, ConstTensorView weight,
                                    ConstTensorView mean, ConstTensorView inv_std, TensorView dx,
                                    TensorView dweight, bool accumulate_dx) {
  check("layer_norm: dy", dy, x.rows(), x.columns());
  check("layer_norm: dx", dx, x.rows(), x.columns());
  check_flat("layer_norm: weight", weight, x.columns());
  check_flat("layer_norm: dweight", dweight, x.columns());
  cuda::layer_norm_backward(stream(),
                            {.dy = matrix(dy),
                             .x = matrix(x),
                             .weight = weight.device_data<float>(),
                             .mean = mean.device_data<float>(),
                             .inv_std = inv_std.device_data<float>(),
                             .dx = matrix(dx),
                             .accumulate_dx = accumulate_dx,
                             .dweight = dweight.device_data<float>(),
                             .partial = scratch<float>(cuda::layer_norm_chunks(x.rows()) * x.columns())});
}

void KernelOps::rope(const ops::RopeTable& table, ConstTensorView positions, std::int64_t head_dim,
                     ops::RopeDirection direction, TensorView x) {
  TROUPE_CHECK(head_dim > 0 && x.columns() % head_dim == 0 && table.rotary() <= head_dim,
               "rope: heads of {} channels, {} of them rotated, in rows of {}", head_dim, table.rotary(),
               x.columns());
  check_flat("rope: positions", positions, x.rows());
  cuda::rope(stream(),
             {.cosine = table.cosines().device_data<float>(),
              .sine = table.sines().device_data<float>(),
              .rotary = table.rotary(),
              .positions = positions.device_data<std::int32_t>(),
              .x = {x.device_data<float>(), x.rows(), x.columns() / head_dim, head_dim, x.row_stride()},
              .backward = direction == ops::RopeDirection::kBackward,
              .interleaved = table.pairing() == ops::RopePairing::kInterleaved});
}

void KernelOps::attention_forward(const ops::AttentionShape& shape, ConstTensorView q, ConstTensorView k,
                                  ConstTensorView v, ConstTensorView first_visible, TensorView out,
                                  TensorView log_sum_exp, ConstTensorView sinks) {
  const std::int64_t tokens = shape.sequences * shape.length;
  check("attention: q", q, tokens, shape.heads * shape.head_dim);
  check("attention: k", k, tokens, shape.kv_heads * shape.head_dim);
  check("attention: v", v, tokens, shape.kv_heads * shape.head_dim);
  check("attention: out", out, q.rows(), q.columns());
  check_flat("attention: first_visible", first_visible, tokens);
  check_flat("attention: log_sum_exp", log_sum_exp, tokens * shape.heads);
  cuda::attention_forward(stream(), {.sizes = sizes_of(shape),
                                     .q = matrix(q),
                                     .k = matrix(k),
                                     .v = matrix(v),
                                     .first_visible = first_visible.device_data<std::int32_t>(),
                                     .out = matrix(out),
                                     .log_sum_exp = log_sum_exp.device_data<float>(),
                                     .scores = scores_of(shape),
                                     .sinks = optional_flat("attention: sinks", sinks, shape.heads)});
}

void KernelOps::attention_backward(const ops::AttentionShape& shape, ConstTensorView dout, ConstTensorView q,
                                   ConstTensorView k, ConstTensorView v, ConstTensorView out,
                                   ConstTensorView log_sum_exp, ConstTensorView first_visible, TensorView dq,
                                   TensorView dk, TensorView dv, ConstTensorView sinks, TensorView dsinks) {
  const std::int64_t tokens = shape.sequences * shape.length;
  check("attention: dout", dout, tokens, shape.heads * shape.head_dim);
  check("attention: dq", dq, q.rows(), q.columns());
  check("attention: dk", dk, k.rows(), k.columns());
  check("attention: dv", dv, v.rows(), v.columns());
  cuda::attention_backward(stream(), {.sizes = sizes_of(shape),
                                      .dout = matrix(dout),
                                      .q = matrix(q),
                                      .k = matrix(k),
                                      .v = matrix(v),
                                      .out = matrix(out),
                                      .log_sum_exp = log_sum_exp.device_data<float>(),
                                      .first_visible = first_visible.device_data<std::int32_t>(),
                                      .dq = matrix(dq),
                                      .dk = matrix(dk),
                                      .dv = matrix(dv),
                                      .delta = scratch<float>(tokens * shape.heads),
                                      .scores = scores_of(shape),
                                      .sinks = optional_flat("attention: sinks", sinks, shape.heads),
                                      .dsinks = optional_flat("attention: dsinks", dsinks, shape.heads)});
}

void KernelOps::copy_heads(std::int64_t heads, std::int64_t width, ConstTensorView x, ops::HeadChannels from,
                           TensorView out, ops::HeadChannels to) {
  check("copy_heads: x", x, out.rows(), x.columns());
  cuda::copy_heads(stream(), heads, width, matrix(x), channels_of(from), matrix(out), channels_of(to));
}

void KernelOps::sum_heads(std::int64_t heads, ConstTensorView x, ops::HeadChannels from, TensorView out) {
  check("sum_heads: x", x, out.rows(), x.columns());
  cuda::sum_heads(stream(), heads, matrix(x), channels_of(from), matrix(out));
}

void KernelOps::embedding_forward(ConstTensorView tokens, ConstTensorView table, TensorView out) {
  check("embedding: out", out, tokens.elements(), table.columns());
  cuda::embedding_forward(stream(), tokens.device_data<std::int32_t>(), matrix(table), matrix(out));
}

void KernelOps::embedding_backward(ConstTensorView tokens, ConstTensorView dout, TensorView dtable) {
  check("embedding: dout", dout, tokens.elements(), dtable.columns());
  cuda::embedding_backward(stream(), tokens.device_data<std::int32_t>(), matrix(dout), matrix(dtable),
                           scratch<std::int32_t>(cuda::embedding_backward_scratch(dout.rows())));
}

void KernelOps::cross_entropy_forward(ConstTensorView logits, ConstTensorView targets, TensorView nll,
                                      TensorView log_z) {
  check_flat("cross_entropy: targets", targets, logits.rows());
  check_flat("cross_entropy: nll", nll, logits.rows());
  check_flat("cross_entropy: log_z", log_z, logits.rows());
  cuda::cross_entropy_forward(stream(), matrix(logits), targets.device_data<std::int32_t>(),
                              nll.device_data<double>(), log_z.device_data<double>());
}

void KernelOps::cross_entropy_forward_backward(TensorView logits, ConstTensorView targets, float scale,
                                               float z_loss, TensorView nll, TensorView log_z) {
  check_flat("cross_entropy: targets", targets, logits.rows());
  check_flat("cross_entropy: nll", nll, logits.rows());
  check_flat("cross_entropy: log_z", log_z, logits.rows());
  cuda::cross_entropy_forward_backward(stream(), matrix(logits), targets.device_data<std::int32_t>(), scale,
                                       z_loss, nll.device_data<double>(), log_z.device_data<double>());
}

void KernelOps::softcap(double factor, double cap, TensorView x) {
  check_flat("softcap: x", x, x.elements());
  cuda::softcap(stream(), factor, cap, x.device_data<float>(), x.elements());
}

void KernelOps::softcap_backward(ConstTensorView dy, ConstTensorView y, double factor, double cap,
                                 TensorView dx) {
  check_flat("softcap: dy", dy, dx.elements());
  check_flat("softcap: y", y, dx.elements());
  check_flat("softcap: dx", dx, dx.elements());
  cuda::softcap_backward(stream(), dy.device_data<float>(), y.device_data<float>(), factor, cap,
                         dx.device_data<float>(), dx.elements());
}

void KernelOps::affine(ConstTensorView x, float factor, float shift, TensorView y) {
  check_flat("affine: x", x, y.elements());
  check_flat("affine: y", y, y.elements());
  cuda::affine(stream(), x.device_data<float>(), factor, shift, y.device_data<float>(), y.elements());
}

void KernelOps::scale_rows(ConstTensorView factors, TensorView x) {
  check_flat("scale_rows: factors", factors, x.rows());
  cuda::scale_rows(stream(), factors.device_data<float>(), matrix(x));
}

void KernelOps::temperatures(ConstTensorView positions, double strength, std::int64_t length,
                             TensorView factors) {
  check_flat("temperatures: positions", positions, factors.elements());
  check_flat("temperatures: factors", factors, factors.elements());
  cuda::temperatures(stream(), positions.device_data<std::int32_t>(), strength, length,
                     factors.device_data<float>(), factors.elements());
}

void KernelOps::sum(ConstTensorView a, ConstTensorView b, TensorView out) {
  check_flat("sum: a", a, out.elements());
  check_flat("sum: b", b, out.elements());
  check_flat("sum: out", out, out.elements());
  cuda::sum(stream(), a.device_data<float>(), b.device_data<float>(), out.device_data<float>(),
            out.elements());
}

void KernelOps::zero(TensorView y) {
  check_flat("zero: y", y, y.elements());
  accelerator_.clear(reinterpret_cast<std::byte*>(y.device_data<float>()), at(y.elements()) * sizeof(float));
}

void KernelOps::gather_rows(ConstTensorView x, ConstTensorView rows, TensorView out) {
  check("gather_rows: out", out, rows.elements(), x.columns());
  cuda::gather_rows(stream(), matrix(x), rows.device_data<std::int32_t>(), nullptr, nullptr, matrix(out));
}

void KernelOps::combine_rows(ConstTensorView y, ConstTensorView slots, ConstTensorView weights,
                             ConstTensorView base, TensorView out) {
  check("combine_rows: y", y, y.rows(), out.columns());
  check("combine_rows: slots", slots, out.rows(), weights.columns());
  check("combine_rows: weights", weights, out.rows(), weights.columns());
  const auto added = base.data() == nullptr ? cuda::Matrix<const float>{} : matrix(base);
  cuda::combine_rows(stream(), matrix(y), integers(slots), matrix(weights), added, matrix(out));
}

void KernelOps::combine_rows_backward(ConstTensorView dout, ConstTensorView y, ConstTensorView slots,
                                      ConstTensorView weights, TensorView dy, TensorView dweights) {
  check("combine_rows: y", y, y.rows(), dout.columns());
  check("combine_rows: dy", dy, y.rows(), dout.columns());
  check("combine_rows: weights", weights, dout.rows(), slots.columns());
  check("combine_rows: dweights", dweights, dout.rows(), slots.columns());
  cuda::combine_rows_backward(stream(), matrix(dout), matrix(y), integers(slots), matrix(weights), matrix(dy),
                              matrix(dweights));
}

void KernelOps::add_slot_products(ConstTensorView a, ConstTensorView y, ConstTensorView slots,
                                  TensorView out) {
  check("add_slot_products: y", y, y.rows(), a.columns());
  check("add_slot_products: out", out, a.rows(), slots.columns());
  cuda::add_slot_products(stream(), matrix(a), matrix(y), integers(slots), matrix(out));
}

void KernelOps::scatter_slots_add(ConstTensorView dgathered, ConstTensorView slots, TensorView dx) {
  check("scatter_slots_add: dgathered", dgathered, dgathered.rows(), dx.columns());
  check("scatter_slots_add: slots", slots, dx.rows(), slots.columns());
  cuda::scatter_slots_add(stream(), matrix(dgathered), integers(slots), {}, matrix(dx));
}

void KernelOps::grouped_gemm(const ops::SegmentTable& segments, Transpose transpose_weight, ConstTensorView x,
                             ConstTensorView weights, TensorView y) {
  check("grouped_gemm: y", y, x.rows(), y.columns());
  if (segments.count == 0) return;
  cuda::grouped_gemm(stream(), segments_of(segments), transpose_weight == Transpose::kYes, matrix(x),
                     weights.device_data<float>(), matrix(y));
}

void KernelOps::grouped_gemm_weight_gradient(const ops::SegmentTable& segments, ConstTensorView dy,
                                             ConstTensorView x, TensorView gradients) {
  check("grouped_gemm: x", x, dy.rows(), x.columns());
  if (segments.count == 0) return;
  cuda::grouped_gemm_weight_gradient(stream(), segments_of(segments), matrix(dy), matrix(x),
                                     gradients.device_data<float>());
}

void KernelOps::route_forward(const ops::RouteViews& views) {
  check("route: scores", views.scores, views.logits.rows(), views.logits.columns());
  check("route: chosen", views.chosen, views.logits.rows(), views.weights.columns());
  check_flat("route: bias", views.bias, views.logits.columns());
  check_flat("route: counts", views.counts, views.logits.columns());
  accelerator_.clear(views.counts.data(), at(views.counts.elements()) * sizeof(std::int32_t));
  cuda::route_forward(stream(), {.rule = views.rule,
                                 .logits = matrix(views.logits),
                                 .bias = views.bias.device_data<float>(),
                                 .scores = matrix(views.scores),
                                 .log_sum_exp = views.log_sum_exp.device_data<float>(),
                                 .chosen = integers(views.chosen),
                                 .weights = matrix(views.weights),
                                 .counts = views.counts.device_data<std::int32_t>()});
}

void KernelOps::start_count_domains(ConstTensorView chosen, ConstTensorView domains, std::int64_t choices,
                                    std::span<std::int64_t> counts) {
  check_flat("count_domains: domains", domains, chosen.rows());
  auto* there = scratch<std::int64_t>(std::ssize(counts));
  const auto bytes = std::as_writable_bytes(counts);
  accelerator_.clear(reinterpret_cast<std::byte*>(there), bytes.size());
  cuda::count_domains(stream(), integers(chosen), domains.device_data<std::int32_t>(),
                      {there, std::ssize(counts) / choices, choices, choices});
  accelerator_.start_download(reinterpret_cast<const std::byte*>(there), bytes);
}

void KernelOps::route_backward(const ops::RouteBackwardViews& views) {
  check("route: dweights", views.dweights, views.logits.rows(), views.weights.columns());
  check("route: dlogits", views.dlogits, views.logits.rows(), views.logits.columns());
  cuda::route_backward(stream(), {.rule = views.rule,
                                  .logits = matrix(views.logits),
                                  .scores = matrix(views.scores),
                                  .log_sum_exp = views.log_sum_exp.device_data<float>(),
                                  .chosen = integers(views.chosen),
                                  .weights = matrix(views.weights),
                                  .dweights = matrix(views.dweights),
                                  .dscores = matrix(views.dscores),
                                  .z_factor = views.z_factor,
                                  .dlogits = matrix(views.dlogits)});
}

void KernelOps::plan(const ops::PlanViews& views) {
  const std::int64_t pairs = views.dispatched.elements();
  check_flat("plan: dispatched", views.dispatched, pairs);
  check_flat("plan: slots", views.slots, pairs);
  const std::int64_t chunks = cuda::plan_chunks(pairs);
  auto* counts = scratch<std::int32_t>(views.experts * (2 + chunks));
  cuda::plan(stream(),
             {.dispatched = views.dispatched.device_data<std::int32_t>(),
              .token_count = views.dispatched.rows(),
              .slot_count = views.dispatched.columns(),
              .order = views.order.data() == nullptr ? nullptr : views.order.device_data<std::int32_t>(),
              .experts = views.experts,
              .counts = counts,
              .first_row = counts + views.experts,
              .tokens = views.tokens.device_data<std::int32_t>(),
              .pairs = views.pairs.device_data<std::int32_t>(),
              .slots = views.slots.device_data<std::int32_t>(),
              .chunk_counts = counts + 2 * views.experts});
}

void KernelOps::load_balance(const ops::LoadBalanceViews& views, double& value) {
  const std::int64_t tokens = views.scores.rows();
  check("load_balance: dscores", views.dscores, tokens, views.scores.columns());
  check_flat("load_balance: frequencies", views.frequencies, tokens / views.stretch * views.scores.columns());
  auto* values = scratch<double>(tokens + chunks_of(tokens) + 1);
  cuda::load_balance(stream(), {.scores = matrix(views.scores),
                                .frequencies = views.frequencies.device_data<double>(),
                                .stretch = views.stretch,
                                .value_factor = views.value_factor,
                                .gradient_factor = views.gradient_factor,
                                .dscores = matrix(views.dscores),
                                .values = values});
  start_sum(values, tokens, values + tokens, value);
}

void KernelOps::start_sum_of_squares(ConstTensorView x, double& sum) {
  const std::int64_t chunks = chunks_of(x.elements());
  auto* sums = scratch<double>(chunks + chunks_of(chunks) + 1);
  cuda::sums_of_squares(stream(), x.device_data<float>(), x.elements(), sums);
  start_sum(sums, chunks, sums + chunks, sum);
}

void KernelOps::start_sum(const double* values, std::int64_t count, double* partial, double& sum) {
  double* total = partial + chunks_of(count);
  cuda::sum_f64(stream(), values, count, partial, total);
  accelerator_.start_download(reinterpret_cast<const std::byte*>(total),
                              std::as_writable_bytes(std::span(&sum, 1)));
}

void KernelOps::sums_of_squares(ConstTensorView x, TensorView sums) {
  check_flat("sums_of_squares: x", x, x.elements());
  check_flat("sums_of_squares: sums", sums, chunks_of(x.elements()));
  cuda::sums_of_squares(stream(), x.device_data<float>(), x.elements(), sums.device_data<double>());
}

void KernelOps::add_lanes(std::span<const ConstTensorView> lanes, TensorView total) {
  constexpr std::size_t kMostLanes = 1024;
  std::array<const float*, kMostLanes> pointers{};
  TROUPE_CHECK(lanes.size() <= kMostLanes, "a sum of {} lanes, at most {}", lanes.size(), kMostLanes);
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    check_flat("add_lanes: a lane", lanes[i], total.elements());
    pointers[i] = lanes[i].device_data<float>();
  }
  const auto** table = scratch<const float*>(std::ssize(lanes));
  accelerator_.upload(std::as_bytes(std::span(pointers).first(lanes.size())),
                      reinterpret_cast<std::byte*>(table));
  cuda::add_lanes(stream(), table, std::ssize(lanes), total.elements(), total.device_data<float>());
}

void KernelOps::adamw(const ops::AdamWStep& step, const ops::AdamWTable& table, TensorView value,
                      ConstTensorView gradient, TensorView first_moment, TensorView second_moment) {
  check_flat("adamw: gradient", gradient, value.elements());
  check_flat("adamw: first moment", first_moment, value.elements());
  check_flat("adamw: second moment", second_moment, value.elements());
  if (table.count == 0) return;
  const auto correction = [&](double beta) {
    return static_cast<float>(1.0 - std::pow(beta, static_cast<double>(step.step)));
  };
  cuda::adamw(stream(), {.lr = static_cast<float>(step.lr),
                         .beta1 = static_cast<float>(step.beta1),
                         .one_minus_beta1 = static_cast<float>(1.0 - step.beta1),
                         .beta2 = static_cast<float>(step.beta2),
                         .one_minus_beta2 = static_cast<float>(1.0 - step.beta2),
                         .eps = static_cast<float>(step.eps),
                         .first_correction = correction(step.beta1),
                         .second_correction = correction(step.beta2),
                         .gradient_scale = step.gradient_scale,
                         .ranges = reinterpret_cast<const cuda::AdamWRange*>(table.data),
                         .range_count = table.count,
                         .most_elements = table.most_elements,
                         .value = value.device_data<float>(),
                         .gradient = gradient.device_data<float>(),
                         .first_moment = first_moment.device_data<float>(),
                         .second_moment = second_moment.device_data<float>()});
}

}  // namespace troupe::device
