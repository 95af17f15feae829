#include "workers/step/gradient_lanes.h"

#include <algorithm>

#include "base/index.h"
#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::workers {
namespace {

Tensor buffer(std::int64_t elements, const model::Model& model) {
  return Tensor({elements}, DType::kF32, model.accelerator());
}

std::vector<Tensor> buffers(std::size_t count, const ParameterTable& table, const model::Model& model) {
  std::vector<Tensor> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(buffer(table.buffer_elements(), model));
  return all;
}

std::vector<std::span<const float>> on_host(const std::vector<Tensor>& lanes, const model::Model& model) {
  if (model.accelerator() != nullptr) return {};
  std::vector<std::span<const float>> spans;
  for (const Tensor& lane : lanes) spans.push_back(lane.floats());
  return spans;
}

template <class Reduction>
Reduction make_reduction(const model::Model& model, comm::Communicator& communicator, int lanes,
                         const std::vector<std::int64_t>& slices, std::int64_t scratch) {
  Accelerator* accelerator = model.accelerator();
  if (accelerator == nullptr) return comm::LaneReduction(communicator, lanes, slices, scratch);
  return comm::DeviceLaneReduction(communicator, lanes, slices, scratch, *accelerator);
}

}  // namespace

std::int64_t reduction_scratch(const layout::Layout& layout, const std::vector<std::int64_t>& dense_slices,
                               const std::vector<std::int64_t>& expert_slices) {
  const layout::BatchShape& batch = layout.batch();
  return std::max(comm::LaneExchange::scratch_for(layout.workers(), batch.grad_lanes, dense_slices),
                  comm::LaneExchange::scratch_for(layout.replicas(), batch.expert_lanes, expert_slices));
}

bool needs_microbatch_gradient(const layout::Layout& layout, int worker) {
  return layout.batch().accumulation_steps > 1 || layout.lane(worker, layout.waves() - 1) < 0;
}

GradientLanes::GradientLanes(const model::Model& model, const Partition& partition)
    : model_(model),
      dense_lanes_(buffers(model.layout().lanes_of(model.rank()).size(), model.dense_table(), model)),
      expert_lanes_(buffers(model.layout().expert_lanes_of(model.layout().group(model.rank())).size(),
                            model.expert_table(), model)),
      microbatch_(buffer(
          needs_microbatch_gradient(model.layout(), model.rank()) ? model.dense_table().buffer_elements() : 0,
          model)),
      dense_views_(dense_lanes_.begin(), dense_lanes_.end()),
      expert_views_(expert_lanes_.begin(), expert_lanes_.end()),
      dense_reduced_(on_host(dense_lanes_, model)),
      expert_reduced_(on_host(expert_lanes_, model)),
      lane_of_source_(at(model.layout().expert_parallel())),
      scratch_(at(reduction_scratch(model.layout(), partition.dense_slices, partition.expert_slices))),
      dense_reduction_(make_reduction<Reduction>(model, model.groups().world,
                                                 model.layout().batch().grad_lanes, partition.dense_slices,
                                                 std::ssize(scratch_))),
      expert_reduction_(make_reduction<Reduction>(model, *model.groups().replicas,
                                                  model.layout().batch().expert_lanes,
                                                  partition.expert_slices, std::ssize(scratch_))) {}

void GradientLanes::clear() {
  for (const TensorView& lane : expert_views_) ops::zero(model_.execution(), lane);
}

bool GradientLanes::has_lane(int wave) const { return model_.layout().lane(model_.rank(), wave) >= 0; }

model::Gradients GradientLanes::of(int accumulation_step, int wave) {
  set_sources(wave);
  const bool into_lane = has_lane(wave) && accumulation_step == 0;
  const TensorView dense = into_lane ? dense_views_[at(wave)] : microbatch_.view();
  return {.dense = dense, .expert_lanes = expert_views_, .lane_of_source = lane_of_source_};
}

void GradientLanes::add(int accumulation_step, int wave) {
  if (accumulation_step == 0 || !has_lane(wave)) return;
  ops::add(model_.execution(), microbatch_, dense_views_[at(wave)]);
}

void GradientLanes::set_sources(int wave) {
  const layout::Layout& layout = model_.layout();
  const int group = layout.group(model_.rank());
  for (int position = 0; position < layout.expert_parallel(); ++position) {
    const int lane = layout.lane(layout.worker(group, position), wave);
    // Lanes of a group are x ≡ group (mod R): lane x is its buffer ⌊x / R⌋.
    lane_of_source_[at(position)] = lane < 0 ? 0 : layout.expert_lane(lane) / layout.replicas();
  }
}

void GradientLanes::reduce() {
  const PhaseScope phase(model_.execution(), Phase::kReduce);
  dense_total_ = reduce(dense_reduction_, dense_views_, dense_reduced_);
  expert_total_ = reduce(expert_reduction_, expert_views_, expert_reduced_);
}

ConstTensorView GradientLanes::reduce(Reduction& reduction, std::span<const TensorView> lanes,
                                      std::span<const std::span<const float>> on_host) {
  if (auto* on_device = std::get_if<comm::DeviceLaneReduction>(&reduction))
    return on_device->reduce(lanes, scratch_);
  return std::get<comm::LaneReduction>(reduction).reduce(model_.execution(), on_host, scratch_);
}

}  // namespace troupe::workers
