#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "optimizer/options.h"
#include "tensor/execution.h"
#include "tensor/parameter.h"

namespace troupe::optimizer {

/// AdamW (arXiv 1711.05101) on the slice of a parameter buffer that this worker owns (ZeRO-1,
/// arXiv 1910.02054): only the owner keeps the moments. No allocation after construction.
class ShardedAdamW {
 public:
  /// [slice_begin, slice_end): offsets in buffers laid out by `table`, which must outlive this.
  ShardedAdamW(const OptimizerOptions& options, const ParameterTable& table, std::int64_t slice_begin,
               std::int64_t slice_end);

  /// One update. step: 1 for the first. lr: after the schedule. gradient_scale: the clipping factor.
  ///   values: the whole buffer, changed inside the slice; gradient: [slice], summed over the batch
  void update(const Execution& execution, std::int64_t step, double lr, float gradient_scale,
              std::span<float> values, std::span<const float> gradient);

  [[nodiscard]] std::int64_t slice_begin() const { return begin_; }
  [[nodiscard]] std::int64_t slice_end() const { return end_; }
  /// Moments of the slice, for checkpoints.
  [[nodiscard]] std::span<float> first_moment() { return first_moment_; }
  [[nodiscard]] std::span<float> second_moment() { return second_moment_; }

 private:
  // A stretch of the slice with one decay, at most a chunk long: the unit that threads share out.
  struct Piece {
    std::int64_t begin;
    std::int64_t length;
    bool decay;
  };

  OptimizerOptions options_;
  std::int64_t begin_;
  std::int64_t end_;
  std::vector<Piece> pieces_;
  std::vector<float> first_moment_;
  std::vector<float> second_moment_;
};

}  // namespace troupe::optimizer
