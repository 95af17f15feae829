#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "optimizer/options.h"
#include "tensor/execution.h"
#include "tensor/ops/adamw/adamw.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace troupe::optimizer {

/// AdamW (arXiv 1711.05101) on the slice of a parameter buffer that this worker owns (ZeRO-1,
/// arXiv 1910.02054): only the owner keeps the moments. No allocation after construction.
class ShardedAdamW {
 public:
  /// [slice_begin, slice_end): offsets in buffers laid out by `table`, which must outlive this.
  /// accelerator: where they and the moments are; null: on the host
  ShardedAdamW(const OptimizerOptions& options, const ParameterTable& table, std::int64_t slice_begin,
               std::int64_t slice_end, Accelerator* accelerator = nullptr);

  /// One update. step: 1 for the first. lr: after the schedule. gradient_scale: the clipping factor.
  ///   values: the whole buffer, changed inside the slice; gradient: [slice], summed over the batch
  void update(const Execution& execution, std::int64_t step, double lr, float gradient_scale,
              TensorView values, ConstTensorView gradient);

  [[nodiscard]] std::int64_t slice_begin() const { return begin_; }
  [[nodiscard]] std::int64_t slice_end() const { return end_; }
  /// Moments of the slice, for checkpoints.
  [[nodiscard]] TensorView first_moment_buffer() { return first_moment_; }
  [[nodiscard]] TensorView second_moment_buffer() { return second_moment_; }
  /// The same on the host; not of moments on a device.
  [[nodiscard]] std::span<float> first_moment() { return first_moment_.floats(); }
  [[nodiscard]] std::span<float> second_moment() { return second_moment_.floats(); }

 private:
  // A stretch of the slice with one decay, at most a chunk long: the unit that threads share out.
  struct Piece {
    std::int64_t begin;
    std::int64_t length;
    bool decay;
    double lr_factor;
  };

  /// The pieces as a device's op reads them; nothing on the host.
  [[nodiscard]] Tensor table_of(const std::vector<Piece>& pieces, Accelerator* accelerator) const;
  [[nodiscard]] ops::AdamWStep step_of(const Piece& piece, std::int64_t step, double lr,
                                       float gradient_scale) const;

  OptimizerOptions options_;
  std::int64_t begin_;
  std::int64_t end_;
  std::vector<Piece> pieces_;
  Tensor first_moment_;  // flat, as the next
  Tensor second_moment_;
  Tensor table_;  // of pieces_, on a device
};

}  // namespace troupe::optimizer
