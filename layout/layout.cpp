#include "layout/layout.h"

#include <algorithm>

#include "base/error.h"

namespace troupe::layout {

Layout::Layout(const BatchShape& batch, int workers, int expert_parallel, int experts)
    : batch_(batch), workers_(workers), replicas_(1), experts_(experts), contiguous_(1, {}) {
  if (workers < 1 || workers > batch.grad_lanes) {
    throw Error(ErrorCode::kConfig, "{} workers: between 1 and batch.grad_lanes = {} are possible", workers,
                batch.grad_lanes);
  }
  if (expert_parallel < 1 || workers % expert_parallel != 0) {
    throw Error(ErrorCode::kConfig, "parallel.expert_parallel = {} must divide the {} workers",
                expert_parallel, workers);
  }
  replicas_ = workers / expert_parallel;
  if (batch.expert_lanes % replicas_ != 0) {
    throw Error(ErrorCode::kConfig,
                "{} workers with expert_parallel {} make {} replicas of each expert, which must divide "
                "batch.expert_lanes = {}",
                workers, expert_parallel, replicas_, batch.expert_lanes);
  }
  contiguous_ = LayerPlacement::contiguous(experts, expert_parallel);
}

int Layout::waves() const { return (batch_.grad_lanes + workers_ - 1) / workers_; }

int Layout::lane(int worker, int wave) const {
  const int lane = wave * workers_ + worker;
  return lane < batch_.grad_lanes ? lane : -1;
}

std::vector<int> Layout::lanes_of(int worker) const {
  std::vector<int> lanes;
  for (int lane = worker; lane < batch_.grad_lanes; lane += workers_) lanes.push_back(lane);
  return lanes;
}

std::int64_t Layout::first_sequence(int accumulation_step, int lane) const {
  return (static_cast<std::int64_t>(accumulation_step) * batch_.grad_lanes + lane) * batch_.micro_batch;
}

std::vector<int> Layout::expert_lanes_of(int group) const {
  std::vector<int> lanes;
  for (int lane = group; lane < batch_.expert_lanes; lane += replicas_) lanes.push_back(lane);
  return lanes;
}

Layout Layout::with_placement(Placement placement) const {
  for (std::size_t layer = 0; layer < placement.size(); ++layer) {
    const LayerPlacement& next = placement[layer];
    if (next.experts() != experts_ || next.positions() != expert_parallel()) {
      throw Error(ErrorCode::kConfig,
                  "placement of MoE layer {}: {} experts on {} positions, the layout has {} on {}", layer,
                  next.experts(), next.positions(), experts_, expert_parallel());
    }
    for (int position = 0; position < expert_parallel(); ++position) {
      const std::size_t room = contiguous_.experts_at(position).size();
      if (next.experts_at(position).size() == room) continue;
      throw Error(ErrorCode::kConfig,
                  "placement of MoE layer {}: position {} holds {} experts, its memory is for {}", layer,
                  position, next.experts_at(position).size(), room);
    }
  }
  Layout moved = *this;
  moved.placement_ = std::move(placement);
  return moved;
}

const LayerPlacement& Layout::placement(std::size_t moe_layer) const {
  return placement_.empty() ? contiguous_ : placement_.at(moe_layer);
}

Placement Layout::placements(std::size_t moe_layers) const {
  Placement all;
  for (std::size_t layer = 0; layer < moe_layers; ++layer) all.push_back(placement(layer));
  return all;
}

std::vector<std::int64_t> slice_by_chunks(const std::vector<std::int64_t>& parameter_begin, int ranks) {
  TROUPE_CHECK(!parameter_begin.empty() && ranks >= 1, "slices of nothing");
  std::vector<std::int64_t> borders;
  for (std::size_t i = 0; i + 1 < parameter_begin.size(); ++i) {
    for (std::int64_t at = parameter_begin[i]; at < parameter_begin[i + 1]; at += kChunkElements)
      borders.push_back(at);
  }
  const std::int64_t end = parameter_begin.back();
  borders.push_back(end);
  std::vector<std::int64_t> slices{parameter_begin.front()};
  for (int rank = 1; rank < ranks; ++rank) {
    const std::int64_t target = end * rank / ranks;
    slices.push_back(std::max(slices.back(), *std::ranges::lower_bound(borders, target)));
  }
  slices.push_back(end);
  return slices;
}

}  // namespace troupe::layout
