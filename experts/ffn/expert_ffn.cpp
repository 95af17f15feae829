#include "experts/ffn/expert_ffn.h"

#include "base/index.h"
#include "base/random.h"
#include "tensor/ops/activation/activation.h"
#include "tensor/parallel.h"
#include "tensor/pieces.h"
#include "tensor/transfer.h"

namespace troupe::experts {
namespace {

// Parts of the arithmetic: rows of a segment, and outputs of a weight's gradient, that one task computes.
constexpr std::int64_t kPieceRows = 256;
constexpr std::int64_t kPieceOutputs = 256;
// Pieces for each thread before the next experts' weights are read.
constexpr std::int64_t kPiecesPerThread = 4;
constexpr int kExpertBits = 17;  // of the number of an expert in a layer

/// Some rows of a segment.
struct Piece {
  int expert;
  Segment rows;
  std::int64_t number;  // of the first one
};
constexpr std::int64_t kPieceElements = sizeof(Piece) / sizeof(float);

/// Of a product of `rows` rows of x with a matrix each, to rows of y.
double flop(std::int64_t rows, const ConstTensorView& x, const ConstTensorView& y) {
  return 2.0 * static_cast<double>(rows) * static_cast<double>(x.columns()) *
         static_cast<double>(y.columns());
}

std::int64_t rows_of(const DispatchChunk& chunk, int expert) {
  std::int64_t rows = 0;
  for (int source = 0; source < chunk.sources(); ++source) rows += chunk.segment(source, expert).rows;
  return rows;
}

}  // namespace

void ExpertFfn::declare(layers::Declaration& declaration, const MoeOptions& options,
                        const layers::FfnForm& form, std::int64_t hidden_size, std::int64_t moe_layer,
                        const RoutedRows& rows) {
  layers::Declaration one = declaration.part("", ParameterPart::kExperts);
  layers::FeedForward::declare_parameters(one, form, hidden_size, options.expert_size);
  declaration.experts(one, moe_layer, options.experts, routed_experts_per_token(options));

  const std::int64_t activation = rows.received * options.expert_size;
  declaration.hold(rows.kept, ops::input_columns(form.activation) * activation);
  declaration.hold(rows.kept, activation);
  declaration.use_in_backward(activation);
  const std::int64_t pieces = (rows.received / kPieceRows + rows.segments) * kPieceElements;
  declaration.use_in_forward(pieces);
  declaration.use_in_backward(pieces);
}

ExpertFfn::ExpertFfn(const layers::FfnForm& form, const ParameterTable& table, const std::string& prefix,
                     std::int64_t expert_size, std::span<const int> experts, double dropout,
                     std::int64_t layer)
    : kind_(form.activation), expert_size_(expert_size) {
  for (const int expert : experts) {
    experts_.push_back(
        {{table, prefix + layers::input_projection(form), form.bias, expert},
         {table, prefix + "down", form.bias, expert},
         layers::Dropout(dropout, (layer << kExpertBits) + expert, RandomPurpose::kExpertDropout)});
  }
}

ExpertFfn::Saved ExpertFfn::allocate(Arena& arena, const DispatchChunk& chunk, std::int64_t hidden) const {
  return {arena.allocate({chunk.rows_received(), hidden}),
          arena.allocate({chunk.rows_received(), ops::input_columns(kind_) * expert_size_}),
          arena.allocate({chunk.rows_received(), expert_size_})};
}

template <class Body>
void ExpertFfn::for_groups(const Execution& execution, const DispatchChunk& chunk, const Body& body) const {
  const std::int64_t enough = execution.threads == 1 ? 1 : execution.threads * kPiecesPerThread * kPieceRows;
  const int count = static_cast<int>(experts_.size());
  for (int first = 0, last = 0; first < count; first = last) {
    for (std::int64_t rows = 0; last < count && rows < enough; ++last) rows += rows_of(chunk, last);
    body(Group{first, last});
  }
}

template <class Body>
void ExpertFfn::for_row_pieces(const Pass& pass, const DispatchChunk& chunk, const Group& group,
                               const Body& body) const {
  const auto for_each = [&](const auto& each) {
    for (int expert = group.first; expert < group.last; ++expert) {
      for (int source = 0; source < chunk.sources(); ++source) {
        const Segment segment = chunk.segment(source, expert);
        const Pieces cut(segment.rows, kPieceRows);
        for (std::int64_t i = 0; i < cut.count(); ++i)
          each(Piece{expert,
                     {segment.first_row + cut.first(i), cut.length(i)},
                     chunk.first_token(source) + cut.first(i)});
      }
    }
  };
  std::int64_t count = 0;
  for_each([&](const Piece&) { ++count; });
  const ArenaScope scope(pass.arena);
  const std::span<Piece> pieces = pass.arena.allocate_array<Piece>(count);
  std::size_t next = 0;
  for_each([&](const Piece& piece) { pieces[next++] = piece; });
  parallel_for(pass.execution, count, [&](std::int64_t i) {
    const Piece& piece = pieces[at(i)];
    body(piece.expert, piece.rows, piece.number);
  });
}

/// All segments at once, by ops that take one matrix for each.
void ExpertFfn::forward_on_device(const Pass& pass, ops::DeviceOps& device, const DispatchChunk& chunk,
                                  const Saved& saved, TensorView y) const {
  const ArenaScope scope(pass.arena);
  const ops::SegmentTable input = segments(pass, chunk, 0, chunk.sources(), &Expert::input);
  const ops::SegmentTable down = segments(pass, chunk, 0, chunk.sources(), &Expert::down);
  {
    const OpScope measured(pass.execution, OpKind::kGemm, flop(input.rows, saved.input, saved.projected));
    device.grouped_gemm(input, ops::Transpose::kYes, saved.input, pass.experts, saved.projected);
  }
  ops::activation_forward(pass.execution, kind_, saved.projected, saved.activation);
  const OpScope measured(pass.execution, OpKind::kGemm, flop(down.rows, saved.activation, y));
  device.grouped_gemm(down, ops::Transpose::kYes, saved.activation, pass.experts, y);
}

void ExpertFfn::backward_on_device(const Pass& pass, ops::DeviceOps& device, const DispatchChunk& chunk,
                                   ConstTensorView dy, const Saved& saved, TensorView dx) const {
  const ArenaScope scope(pass.arena);
  const TensorView dactivation = pass.arena.allocate(saved.activation.shape());
  const ops::SegmentTable input = segments(pass, chunk, 0, chunk.sources(), &Expert::input);
  const ops::SegmentTable down = segments(pass, chunk, 0, chunk.sources(), &Expert::down);
  {
    const OpScope measured(pass.execution, OpKind::kGemm, flop(down.rows, dy, dactivation));
    device.grouped_gemm(down, ops::Transpose::kNo, dy, pass.experts, dactivation);
  }
  ops::activation_backward(pass.execution, kind_, dactivation, saved.projected, saved.projected);
  const OpScope measured(pass.execution, OpKind::kGemm,
                         2.0 * flop(input.rows, saved.projected, dx) + flop(down.rows, dy, saved.activation));
  device.grouped_gemm(input, ops::Transpose::kNo, saved.projected, pass.experts, dx);
  for (int source = 0; source < chunk.sources(); ++source) {  // one after the other: they may share a lane
    const TensorView lane = pass.expert_gradient_lanes[at(pass.lane_of_source[at(source)])];
    device.grouped_gemm_weight_gradient(segments(pass, chunk, source, source + 1, &Expert::input),
                                        saved.projected, saved.input, lane);
    device.grouped_gemm_weight_gradient(segments(pass, chunk, source, source + 1, &Expert::down), dy,
                                        saved.activation, lane);
  }
}

ops::SegmentTable ExpertFfn::segments(const Pass& pass, const DispatchChunk& chunk, int first, int last,
                                      layers::Projection Expert::*projection) const {
  const auto experts = static_cast<int>(experts_.size());
  const auto table = pass.arena.allocate_array<ops::Segment>(std::int64_t{last - first} * experts);
  ops::SegmentTable result;
  for (int source = first; source < last; ++source) {
    for (int expert = 0; expert < experts; ++expert) {
      const Segment segment = chunk.segment(source, expert);
      if (segment.rows == 0) continue;
      const std::int64_t matrix = (experts_[at(expert)].*projection).weight_offset();
      table[at(result.count++)] = {segment.first_row, segment.rows, matrix};
      result.rows += segment.rows;
    }
  }
  constexpr std::int64_t kWords = sizeof(ops::Segment) / sizeof(std::int32_t);
  const TensorView there = pass.arena.allocate({result.count * kWords}, DType::kI32);
  upload<ops::Segment>(*pass.execution.accelerator, table.first(at(result.count)), there);
  result.data = there.data();
  return result;
}

void ExpertFfn::forward(const Pass& pass, const DispatchChunk& chunk, const Saved& saved,
                        TensorView y) const {
  if (ops::DeviceOps* device = ops::device_ops(pass.execution))
    return forward_on_device(pass, *device, chunk, saved, y);
  for_groups(pass.execution, chunk, [&](const Group& group) {
    for_row_pieces(pass, chunk, group, [&](int index, const Segment& rows, std::int64_t number) {
      const Expert& expert = experts_[at(index)];
      const TensorView projected = saved.projected.rows(rows.first_row, rows.rows);
      const TensorView activation = saved.activation.rows(rows.first_row, rows.rows);
      expert.input.forward(pass.execution, pass.experts, saved.input.rows(rows.first_row, rows.rows),
                           projected);
      ops::activation_forward(pass.execution, kind_, projected, activation);
      expert.dropout.apply_numbered(pass, number, activation);
      expert.down.forward(pass.execution, pass.experts, activation, y.rows(rows.first_row, rows.rows));
    });
  });
}

void ExpertFfn::backward(const Pass& pass, const DispatchChunk& chunk, ConstTensorView dy, const Saved& saved,
                         TensorView dx) const {
  if (ops::DeviceOps* device = ops::device_ops(pass.execution))
    return backward_on_device(pass, *device, chunk, dy, saved, dx);
  const ArenaScope scope(pass.arena);
  const TensorView dactivations = pass.arena.allocate(saved.activation.shape());
  for_groups(pass.execution, chunk, [&](const Group& group) {
    for_row_pieces(pass, chunk, group, [&](int index, const Segment& rows, std::int64_t number) {
      const Expert& expert = experts_[at(index)];
      const TensorView projected = saved.projected.rows(rows.first_row, rows.rows);
      const TensorView dactivation = dactivations.rows(rows.first_row, rows.rows);
      expert.down.backward(pass.execution, pass.experts, dy.rows(rows.first_row, rows.rows), dactivation);
      expert.dropout.apply_numbered(pass, number, dactivation);
      ops::activation_backward(pass.execution, kind_, dactivation, projected, projected);
      expert.input.backward(pass.execution, pass.experts, projected, dx.rows(rows.first_row, rows.rows));
    });
    backward_weights(pass, chunk, group, dy, saved);
  });
}

void ExpertFfn::backward_weights(const Pass& pass, const DispatchChunk& chunk, const Group& group,
                                 ConstTensorView dy, const Saved& saved) const {
  const Pieces input(saved.projected.columns(), kPieceOutputs);
  const Pieces down(dy.columns(), kPieceOutputs);
  const std::int64_t pieces = input.count() + down.count();
  parallel_for(pass.execution, (group.last - group.first) * pieces, [&](std::int64_t task) {
    const int index = group.first + static_cast<int>(task / pieces);
    const std::int64_t piece = task % pieces;
    const Expert& expert = experts_[at(index)];
    if (piece < input.count()) {
      backward_outputs(pass, chunk, index, expert.input, input.first(piece), input.length(piece),
                       saved.projected, saved.input);
    } else {
      const std::int64_t i = piece - input.count();
      backward_outputs(pass, chunk, index, expert.down, down.first(i), down.length(i), dy, saved.activation);
    }
  });
}

void ExpertFfn::backward_outputs(const Pass& pass, const DispatchChunk& chunk, int expert,
                                 const layers::Projection& projection, std::int64_t first, std::int64_t count,
                                 ConstTensorView dy, ConstTensorView x) const {
  const layers::Projection outputs = projection.outputs(first, count);
  for (int source = 0; source < chunk.sources(); ++source) {
    const auto [row, rows] = chunk.segment(source, expert);
    if (rows == 0) continue;
    const auto lane = at(pass.lane_of_source[at(source)]);
    outputs.weight_gradients(pass.execution, dy.columns(first, count).rows(row, rows), x.rows(row, rows),
                             pass.expert_gradient_lanes[lane], ops::Accumulate::kYes);
  }
}

}  // namespace troupe::experts
