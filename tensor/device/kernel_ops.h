#pragma once
#include <optional>

#include "tensor/accelerator.h"
#include "tensor/cuda/cublaslt.h"
#include "tensor/device/device.h"
#include "tensor/ops/device_ops.h"

namespace troupe::device {

/// Every op as launches of the kernels of tensor/cuda/ on a device's compute queue. Scratch memory grows to
/// what an op once needed, and is the next op's: they run in order.
class KernelOps final : public ops::DeviceOps {
 public:
  /// Both must outlive it.
  KernelOps(Accelerator& accelerator, Device& device) : accelerator_(accelerator), device_(device) {}

  /// From now on, dense products are the library's. Throws kConfig when it is not installed.
  void use_cublaslt() { cublaslt_.emplace(); }

  void gemm(ops::Transpose transpose_a, ops::Transpose transpose_b, ConstTensorView a, ConstTensorView b,
            TensorView c, ops::Accumulate accumulate) override;
  void add_bias(ConstTensorView bias, TensorView y) override;
  void bias_gradient(ConstTensorView dy, TensorView dbias, ops::Accumulate accumulate) override;
  void activation_forward(ops::Activation activation, ConstTensorView x, TensorView y) override;
  void activation_backward(ops::Activation activation, ConstTensorView dy, ConstTensorView x,
                           TensorView dx) override;
  void rms_norm_forward(ConstTensorView x, ConstTensorView weight, double eps, TensorView y,
                        TensorView inv_rms) override;
  void rms_norm_backward(ConstTensorView dy, ConstTensorView x, ConstTensorView weight,
                         ConstTensorView inv_rms, TensorView dx, TensorView dweight,
                         bool accumulate_dx) override;
  void layer_norm_forward(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, double eps,
                          TensorView y, TensorView mean, TensorView inv_std) override;
  void layer_norm_backward(ConstTensorView dy, ConstTensorView x, ConstTensorView weight,
                           ConstTensorView mean, ConstTensorView inv_std, TensorView dx, TensorView dweight,
                           bool accumulate_dx) override;
  void rope(const ops::RopeTable& table, ConstTensorView positions, std::int64_t head_dim,
            ops::RopeDirection direction, TensorView x) override;
  void attention_forward(const ops::AttentionShape& shape, ConstTensorView q, ConstTensorView k,
                         ConstTensorView v, ConstTensorView first_visible, TensorView out,
                         TensorView log_sum_exp, ConstTensorView sinks) override;
  void attention_backward(const ops::AttentionShape& shape, ConstTensorView dout, ConstTensorView q,
                          ConstTensorView k, ConstTensorView v, ConstTensorView out,
                          ConstTensorView log_sum_exp, ConstTensorView first_visible, TensorView dq,
                          TensorView dk, TensorView dv, ConstTensorView sinks, TensorView dsinks) override;
  void copy_heads(std::int64_t heads, std::int64_t width, ConstTensorView x, ops::HeadChannels from,
                  TensorView out, ops::HeadChannels to) override;
  void sum_heads(std::int64_t heads, ConstTensorView x, ops::HeadChannels from, TensorView out) override;
  void embedding_forward(ConstTensorView tokens, ConstTensorView table, TensorView out) override;
  void embedding_backward(ConstTensorView tokens, ConstTensorView dout, TensorView dtable) override;
  void cross_entropy_forward(ConstTensorView logits, ConstTensorView targets, TensorView nll,
                             TensorView log_z) override;
  void cross_entropy_forward_backward(TensorView logits, ConstTensorView targets, float scale, float z_loss,
                                      TensorView nll, TensorView log_z) override;
  void softcap(double factor, double cap, TensorView x) override;
  void softcap_backward(ConstTensorView dy, ConstTensorView y, double factor, double cap,
                        TensorView dx) override;
  void sum(ConstTensorView a, ConstTensorView b, TensorView out) override;
  void affine(ConstTensorView x, float factor, float shift, TensorView y) override;
  void scale_rows(ConstTensorView factors, TensorView x) override;
  void temperatures(ConstTensorView positions, double strength, std::int64_t length,
                    TensorView factors) override;
  void zero(TensorView y) override;
  void gather_rows(ConstTensorView x, ConstTensorView rows, TensorView out) override;
  void combine_rows(ConstTensorView y, ConstTensorView slots, ConstTensorView weights, ConstTensorView base,
                    TensorView out) override;
  void combine_rows_backward(ConstTensorView dout, ConstTensorView y, ConstTensorView slots,
                             ConstTensorView weights, TensorView dy, TensorView dweights) override;
  void add_slot_products(ConstTensorView a, ConstTensorView y, ConstTensorView slots,
                         TensorView out) override;
  void scatter_slots_add(ConstTensorView dgathered, ConstTensorView slots, TensorView dx) override;

  void grouped_gemm(const ops::SegmentTable& segments, ops::Transpose transpose_weight, ConstTensorView x,
                    ConstTensorView weights, TensorView y) override;
  void grouped_gemm_weight_gradient(const ops::SegmentTable& segments, ConstTensorView dy, ConstTensorView x,
                                    TensorView gradients) override;
  void route_forward(const ops::RouteViews& views) override;
  void route_backward(const ops::RouteBackwardViews& views) override;
  void plan(const ops::PlanViews& views) override;
  void start_count_domains(ConstTensorView chosen, ConstTensorView domains, std::int64_t choices,
                           std::span<std::int64_t> counts) override;
  void load_balance(const ops::LoadBalanceViews& views, double& value) override;
  void start_sum_of_squares(ConstTensorView x, double& sum) override;
  void sums_of_squares(ConstTensorView x, TensorView sums) override;
  void add_lanes(std::span<const ConstTensorView> lanes, TensorView total) override;
  void adamw(const ops::AdamWStep& step, const ops::AdamWTable& table, TensorView value,
             ConstTensorView gradient, TensorView first_moment, TensorView second_moment) override;

 private:
  [[nodiscard]] cuda::Stream stream() { return device_.compute().stream(); }
  /// `count` elements for the op that is being queued; not to be asked for twice by one.
  template <class T>
  [[nodiscard]] T* scratch(std::int64_t count);
  /// Σ values, which is there after the downloads are finished; partial and total follow the values in
  /// scratch.
  void start_sum(const double* values, std::int64_t count, double* partial, double& sum);

  Accelerator& accelerator_;
  Device& device_;
  std::optional<cuda::CublasLt> cublaslt_;
  Memory scratch_;
};

}  // namespace troupe::device
