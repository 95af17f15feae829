#pragma once
#include <cstdint>
#include <span>

#include "tensor/accelerator.h"
#include "tensor/cuda/adamw.h"
#include "tensor/cuda/gemm.h"
#include "tensor/cuda/route.h"
#include "tensor/execution.h"
#include "tensor/ops/activation/kind.h"
#include "tensor/ops/adamw/adamw.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/gemm/gemm.h"
#include "tensor/ops/heads/heads.h"
#include "tensor/ops/rope/rope.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// Pairs of a microbatch sorted by expert, as experts/dispatch/dispatch_plan.h says.
struct PlanViews {
  ConstTensorView dispatched;  // [tokens, slots] i32, expert or -1
  ConstTensorView order;       // [experts] i32, or without data: ascending
  std::int64_t experts = 0;
  TensorView tokens;  // [rows] i32, token of each row
  TensorView pairs;   // [rows] i32, pair of each row
  TensorView slots;   // [tokens, slots] i32, row of each pair, or -1
};

/// A router's choice of experts for every token (experts/router/router.h).
struct RouteViews {
  cuda::RouterRule rule;
  ConstTensorView logits;  // [tokens, choices]
  ConstTensorView bias;    // [choices]
  TensorView scores;       // [tokens, choices]
  TensorView log_sum_exp;  // [tokens]
  TensorView chosen;       // [tokens, slots] i32
  TensorView weights;      // [tokens, slots]
  TensorView counts;       // [choices] i32, overwritten
};

/// Its gradient, with that of z_factor / 2 * Σ log_sum_exp².
struct RouteBackwardViews {
  cuda::RouterRule rule;
  ConstTensorView logits, scores, log_sum_exp, chosen, weights;  // as above
  ConstTensorView dweights;                                      // [tokens, slots]
  ConstTensorView dscores;                                       // [tokens, choices], of other losses
  float z_factor = 0.0F;
  TensorView dlogits;  // [tokens, choices], added to
};

/// A load-balancing loss (experts/aux_loss/load_balance.h): Σ_t value_factor · Σ_i f_i p_ti with p = s / Σs.
struct LoadBalanceViews {
  ConstTensorView scores;       // [tokens, choices]
  ConstTensorView frequencies;  // [tokens / stretch, choices] f64
  std::int64_t stretch = 1;     // tokens that share a row of f
  double value_factor = 1.0;
  double gradient_factor = 0.0;
  TensorView dscores;  // [tokens, choices], added to
};

/// Rows of one microbatch for one matrix: `matrix` is where that starts in its buffer, in elements.
using Segment = cuda::Segment;
/// In device memory, in order of rows, without overlap.
struct SegmentTable {
  const std::byte* data = nullptr;
  std::int64_t count = 0;
  std::int64_t rows = 0;  // of all
};

/// Ranges of a flat buffer, in device memory.
using AdamWRange = cuda::AdamWRange;
struct AdamWTable {
  const std::byte* data = nullptr;
  std::int64_t count = 0;
  std::int64_t most_elements = 0;  // of a range
};

/// The ops of tensor/ops on device memory: what each computes is said beside its function there, whose first
/// lines come here. Queued; sizes and devices are checked, contents are not. The arithmetic is that of
/// tensor/cuda/.
class DeviceOps {
 public:
  DeviceOps() = default;
  virtual ~DeviceOps() = default;
  DeviceOps(const DeviceOps&) = delete;
  DeviceOps& operator=(const DeviceOps&) = delete;

  virtual void gemm(Transpose transpose_a, Transpose transpose_b, ConstTensorView a, ConstTensorView b,
                    TensorView c, Accumulate accumulate) = 0;
  virtual void add_bias(ConstTensorView bias, TensorView y) = 0;
  virtual void bias_gradient(ConstTensorView dy, TensorView dbias, Accumulate accumulate) = 0;
  virtual void activation_forward(Activation activation, ConstTensorView x, TensorView y) = 0;
  virtual void activation_backward(Activation activation, ConstTensorView dy, ConstTensorView x,
                                   TensorView dx) = 0;
  virtual void rms_norm_forward(ConstTensorView x, ConstTensorView weight, double eps, TensorView y,
                                TensorView inv_rms) = 0;
  virtual void rms_norm_backward(ConstTensorView dy, ConstTensorView x, ConstTensorView weight,
                                 ConstTensorView inv_rms, TensorView dx, TensorView dweight,
                                 bool accumulate_dx) = 0;
  virtual void layer_norm_forward(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, double eps,
                                  TensorView y, TensorView mean, TensorView inv_std) = 0;
  /// Without the bias's gradient.
  virtual void layer_norm_backward(ConstTensorView dy, ConstTensorView x, ConstTensorView weight,
                                   ConstTensorView mean, ConstTensorView inv_std, TensorView dx,
                                   TensorView dweight, bool accumulate_dx) = 0;
  virtual void rope(const RopeTable& table, ConstTensorView positions, std::int64_t head_dim,
                    RopeDirection direction, TensorView x) = 0;
  virtual void attention_forward(const AttentionShape& shape, ConstTensorView q, ConstTensorView k,
                                 ConstTensorView v, ConstTensorView first_visible, TensorView out,
                                 TensorView log_sum_exp, ConstTensorView sinks) = 0;
  virtual void attention_backward(const AttentionShape& shape, ConstTensorView dout, ConstTensorView q,
                                  ConstTensorView k, ConstTensorView v, ConstTensorView out,
                                  ConstTensorView log_sum_exp, ConstTensorView first_visible, TensorView dq,
                                  TensorView dk, TensorView dv, ConstTensorView sinks, TensorView dsinks) = 0;
  virtual void copy_heads(std::int64_t heads, std::int64_t width, ConstTensorView x, HeadChannels from,
                          TensorView out, HeadChannels to) = 0;
  virtual void sum_heads(std::int64_t heads, ConstTensorView x, HeadChannels from, TensorView out) = 0;
  virtual void embedding_forward(ConstTensorView tokens, ConstTensorView table, TensorView out) = 0;
  virtual void embedding_backward(ConstTensorView tokens, ConstTensorView dout, TensorView dtable) = 0;
  virtual void cross_entropy_forward(ConstTensorView logits, ConstTensorView targets, TensorView nll,
                                     TensorView log_z) = 0;
  virtual void cross_entropy_forward_backward(TensorView logits, ConstTensorView targets, float scale,
                                              float z_loss, TensorView nll, TensorView log_z) = 0;
  virtual void softcap(double factor, double cap, TensorView x) = 0;
  virtual void softcap_backward(ConstTensorView dy, ConstTensorView y, double factor, double cap,
                                TensorView dx) = 0;

  virtual void sum(ConstTensorView a, ConstTensorView b, TensorView out) = 0;
  virtual void affine(ConstTensorView x, float factor, float shift, TensorView y) = 0;
  virtual void scale_rows(ConstTensorView factors, TensorView x) = 0;
  virtual void temperatures(ConstTensorView positions, double strength, std::int64_t length,
                            TensorView factors) = 0;
  virtual void zero(TensorView y) = 0;
  virtual void gather_rows(ConstTensorView x, ConstTensorView rows, TensorView out) = 0;
  virtual void combine_rows(ConstTensorView y, ConstTensorView slots, ConstTensorView weights,
                            ConstTensorView base, TensorView out) = 0;
  virtual void combine_rows_backward(ConstTensorView dout, ConstTensorView y, ConstTensorView slots,
                                     ConstTensorView weights, TensorView dy, TensorView dweights) = 0;
  virtual void add_slot_products(ConstTensorView a, ConstTensorView y, ConstTensorView slots,
                                 TensorView out) = 0;
  virtual void scatter_slots_add(ConstTensorView dgathered, ConstTensorView slots, TensorView dx) = 0;

  // What hosts do in loops of their own.

  /// y[r] = x[r] Wᵀ (kYes) or x[r] W with the matrix of the row's segment. weights: a flat buffer
  virtual void grouped_gemm(const SegmentTable& segments, Transpose transpose_weight, ConstTensorView x,
                            ConstTensorView weights, TensorView y) = 0;
  /// dW += dyᵀ x for every segment; no two share a matrix. gradients: a flat buffer
  virtual void grouped_gemm_weight_gradient(const SegmentTable& segments, ConstTensorView dy,
                                            ConstTensorView x, TensorView gradients) = 0;
  virtual void route_forward(const RouteViews& views) = 0;
  virtual void route_backward(const RouteBackwardViews& views) = 0;
  virtual void plan(const PlanViews& views) = 0;
  /// counts = pairs by the domain of their token (experts/router/tallies.h): on the host, there after the
  /// next download.  chosen: [tokens, slots] i32; domains: [tokens] i32; counts: [domains * choices]
  virtual void start_count_domains(ConstTensorView chosen, ConstTensorView domains, std::int64_t choices,
                                   std::span<std::int64_t> counts) = 0;
  /// Adds the gradient; `value`, on the host, is there after Accelerator::finish_downloads().
  virtual void load_balance(const LoadBalanceViews& views, double& value) = 0;
  /// Σ x², which is there after Accelerator::finish_downloads().
  virtual void start_sum_of_squares(ConstTensorView x, double& sum) = 0;
  /// sums[c] = Σ x² of elements [64 Ki · c, 64 Ki · (c + 1)).  x: flat; sums: [chunks] f64
  virtual void sums_of_squares(ConstTensorView x, TensorView sums) = 0;
  /// total = ((0 + lane 0) + lane 1) + …, flat, element by element.
  virtual void add_lanes(std::span<const ConstTensorView> lanes, TensorView total) = 0;

  /// AdamW of many ranges at once. All but the table are flat, with the same places; the ranges have their
  /// own weight decay.
  virtual void adamw(const AdamWStep& step, const AdamWTable& table, TensorView value,
                     ConstTensorView gradient, TensorView first_moment, TensorView second_moment) = 0;
};

/// Of the execution's device; null on the host.
[[nodiscard]] inline DeviceOps* device_ops(const Execution& execution) {
  return execution.accelerator == nullptr ? nullptr : &execution.accelerator->ops();
}

}  // namespace troupe::ops
