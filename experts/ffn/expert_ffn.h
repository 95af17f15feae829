#pragma once
#include <span>
#include <string>
#include <vector>

#include "experts/dispatch/dispatch_plan.h"
#include "experts/ffn/projection.h"
#include "experts/pass.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// The FFNs of this worker's routed experts of one layer, segment by segment. Every matrix product
/// sees the rows of one segment, so its shape depends on routing only; an expert's weights are used
/// for all its segments before the next expert's.
class ExpertFfn {
 public:
  struct Saved {
    TensorView projected;   // [rows_received, input_columns * expert_size]: gate and up, or up
    TensorView activation;  // [rows_received, expert_size]
  };

  /// prefix: "layers/03/experts/"; experts: global ids of this worker's, ascending; all in `table`.
  ExpertFfn(const FfnForm& form, const ParameterTable& table, const std::string& prefix,
            std::int64_t expert_size, std::span<const int> experts);

  [[nodiscard]] Saved allocate(Arena& arena, const DispatchChunk& chunk) const;

  /// x, y: [rows_received, hidden]
  void forward(const Pass& pass, const DispatchChunk& chunk, ConstTensorView x, const Saved& saved,
               TensorView y) const;

  /// dy, x, dx: [rows_received, hidden]; dx overwritten. The weights' gradients are added to the lane
  /// of each segment's source, sources ascending; threads split experts and tiles, never that sum.
  void backward(const Pass& pass, const DispatchChunk& chunk, ConstTensorView dy, ConstTensorView x,
                const Saved& saved, TensorView dx) const;

 private:
  struct Expert {
    Projection input;
    Projection down;
  };

  /// Calls body(local expert); over the threads when there are enough experts.
  template <class Body>
  void for_experts(const Pass& pass, const Body& body) const;

  ops::Activation kind_;
  std::vector<Expert> experts_;
  std::int64_t expert_size_;
};

}  // namespace troupe::experts
