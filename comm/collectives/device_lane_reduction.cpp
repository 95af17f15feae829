#include "comm/collectives/device_lane_reduction.h"

#include "base/error.h"
#include "base/index.h"
#include "tensor/ops/device_ops.h"

namespace troupe::comm {
namespace {

constexpr auto kFloatBytes = static_cast<std::int64_t>(sizeof(float));

}  // namespace

DeviceLaneReduction::DeviceLaneReduction(Communicator& communicator, int total_lanes,
                                         std::vector<std::int64_t> slice_begin, std::int64_t scratch_elements,
                                         Accelerator& accelerator)
    : communicator_(communicator),
      rank_(communicator.rank()),
      accelerator_(accelerator),
      plan_(communicator.size(), total_lanes, std::move(slice_begin), scratch_elements),
      send_bytes_(at(plan_.ranks())),
      receive_bytes_(at(plan_.ranks())),
      sources_(at(total_lanes)) {
  if (total_lanes == 1) return;
  total_ = Tensor({plan_.slice(rank_).size}, DType::kF32, &accelerator_);
  const std::int64_t others = total_lanes - plan_.lanes_of(rank_);
  received_ = Tensor({others * plan_.piece(rank_, 0).size}, DType::kF32, &accelerator_);
}

ConstTensorView DeviceLaneReduction::reduce(std::span<const TensorView> lanes, std::span<float> scratch) {
  TROUPE_CHECK(std::ssize(lanes) == plan_.lanes_of(rank_),
               "lane reduction: rank {} of {} owns {} of {} lanes, not {}", rank_, plan_.ranks(),
               plan_.lanes_of(rank_), plan_.total_lanes(), lanes.size());
  if (plan_.total_lanes() == 1) return ConstTensorView(lanes.front()).rows(0, plan_.slice(rank_).size);
  for (std::int64_t round = 0; round < plan_.rounds(); ++round) {
    if (plan_.ranks() > 1) exchange(round, lanes, scratch);
    add(round, lanes);
  }
  return total_;
}

void DeviceLaneReduction::exchange(std::int64_t round, std::span<const TensorView> lanes,
                                   std::span<float> scratch) {
  const std::int64_t sent = pack(round, lanes, scratch);
  const std::int64_t mine = plan_.piece(rank_, round).size;
  std::int64_t received = 0;
  for (int peer = 0; peer < plan_.ranks(); ++peer) {
    const std::int64_t elements = peer == rank_ ? 0 : plan_.lanes_of(peer) * mine;
    receive_bytes_[at(peer)] = elements * kFloatBytes;
    received += elements;
  }
  const std::span<float> room = part(scratch, sent, received);
  communicator_.all_to_all_v({std::as_bytes(scratch.first(at(sent))), send_bytes_},
                             {std::as_writable_bytes(room), receive_bytes_});
  accelerator_.upload(std::as_bytes(room), received_.view().data());
}

std::int64_t DeviceLaneReduction::pack(std::int64_t round, std::span<const TensorView> lanes,
                                       std::span<float> scratch) {
  std::int64_t end = 0;
  for (int peer = 0; peer < plan_.ranks(); ++peer) {
    const auto [begin, size] = plan_.piece(peer, round);
    send_bytes_[at(peer)] = peer == rank_ ? 0 : std::ssize(lanes) * size * kFloatBytes;
    if (peer == rank_) continue;
    for (const TensorView& lane : lanes) {
      accelerator_.start_download(lane.rows(begin, size).data(),
                                  std::as_writable_bytes(part(scratch, end, size)));
      end += size;
    }
  }
  accelerator_.finish_downloads();
  return end;
}

void DeviceLaneReduction::add(std::int64_t round, std::span<const TensorView> lanes) {
  const auto [begin, size] = plan_.piece(rank_, round);
  if (size == 0) return;
  std::int64_t next = 0;
  for (int peer = 0; peer < plan_.ranks(); ++peer) {
    for (int lane = 0; lane < plan_.lanes_of(peer); ++lane) {
      ConstTensorView& source = sources_[at(lane * plan_.ranks() + peer)];
      if (peer == rank_) {
        source = lanes[at(lane)].rows(begin, size);
      } else {
        source = received_.view().rows(next, size);
        next += size;
      }
    }
  }
  // In the order of lanes, whoever holds them: this order is the layout invariance.
  accelerator_.ops().add_lanes(sources_, total_.view().rows(begin - plan_.slice(rank_).begin, size));
}

}  // namespace troupe::comm
