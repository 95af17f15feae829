#pragma once
#include <span>
#include <string>
#include <vector>

#include "experts/dispatch/dispatch_plan.h"
#include "experts/dispatch/routed_rows.h"
#include "layers/dropout.h"
#include "layers/feed_forward.h"
#include "layers/pass.h"
#include "tensor/ops/device_ops.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// The FFNs of this worker's routed experts of one layer, segment by segment. Every matrix product
/// sees a fixed piece of one segment's rows, so its shape depends on routing only; an expert's weights
/// are used for all its segments before the next expert's. Threads share out these pieces and pieces of
/// the weights' gradients, so an expert that gets most of the tokens keeps all of them busy.
class ExpertFfn {
 public:
  struct Saved {
    TensorView input;       // [rows_received, hidden], as they arrive
    TensorView projected;   // [rows_received, input_columns * expert_size]: gate and up, or up
    TensorView activation;  // [rows_received, expert_size]
  };

  /// Parameters of all experts; memory of this worker's.
  static void declare(layers::Declaration& declaration, const MoeOptions& options,
                      const layers::FfnForm& form, std::int64_t hidden_size, std::int64_t moe_layer,
                      const RoutedRows& rows);

  /// prefix: "layers/03/experts/"; experts: global ids of this worker's, ascending; all in `table`.
  /// dropout: rate of what the activation makes; layer: of the model, with it the key of what is dropped
  ExpertFfn(const layers::FfnForm& form, const ParameterTable& table, const std::string& prefix,
            std::int64_t expert_size, std::span<const int> experts, double dropout = 0.0,
            std::int64_t layer = 0);

  [[nodiscard]] Saved allocate(Arena& arena, const DispatchChunk& chunk, std::int64_t hidden) const;

  /// Of saved.input.  y: [rows_received, hidden]
  void forward(const Pass& pass, const DispatchChunk& chunk, const Saved& saved, TensorView y) const;

  /// dy, dx: [rows_received, hidden]; dx overwritten, saved.projected replaced by its gradient. The
  /// weights' gradients are added to the lane of each segment's source, sources ascending.
  void backward(const Pass& pass, const DispatchChunk& chunk, ConstTensorView dy, const Saved& saved,
                TensorView dx) const;

 private:
  struct Expert {
    layers::Projection input;
    layers::Projection down;
    layers::Dropout dropout;
  };
  /// Experts [first, last) that are computed together.
  struct Group {
    int first;
    int last;
  };

  /// Calls body(group) for consecutive experts with enough rows to keep all threads busy.
  template <class Body>
  void for_groups(const Execution& execution, const DispatchChunk& chunk, const Body& body) const;
  /// Calls body(expert, rows, number) for the pieces of all segments of a group, over the threads. number: of
  /// the first row, for dropout: a source's rows are numbered from its first token on, for every expert, so
  /// that numbers do not depend on the layout.
  template <class Body>
  void for_row_pieces(const Pass& pass, const DispatchChunk& chunk, const Group& group,
                      const Body& body) const;
  void backward_weights(const Pass& pass, const DispatchChunk& chunk, const Group& group, ConstTensorView dy,
                        const Saved& saved) const;
  void forward_on_device(const Pass& pass, ops::DeviceOps& device, const DispatchChunk& chunk,
                         const Saved& saved, TensorView y) const;
  void backward_on_device(const Pass& pass, ops::DeviceOps& device, const DispatchChunk& chunk,
                          ConstTensorView dy, const Saved& saved, TensorView dx) const;
  /// Segments of sources [first, last) with the matrices of one projection, on the device.
  [[nodiscard]] ops::SegmentTable segments(const Pass& pass, const DispatchChunk& chunk, int first, int last,
                                           layers::Projection Expert::*projection) const;
  /// One piece of the outputs of `projection`, from all segments of an expert.
  void backward_outputs(const Pass& pass, const DispatchChunk& chunk, int expert,
                        const layers::Projection& projection, std::int64_t first, std::int64_t count,
                        ConstTensorView dy, ConstTensorView x) const;

  ops::Activation kind_;
  std::vector<Expert> experts_;
  std::int64_t expert_size_;
};

}  // namespace troupe::experts
