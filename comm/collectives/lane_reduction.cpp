#include "comm/collectives/lane_reduction.h"

#include <algorithm>

#include "base/error.h"
#include "base/index.h"
#include "tensor/parallel.h"

namespace troupe::comm {
namespace {

constexpr std::int64_t kAddedAtOnce = 1024;  // elements whose running sum stays in the first-level cache

void add_elements(const float* __restrict source, float* __restrict sum, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) sum[i] += source[i];
}

/// The smallest scratch of all ranks, so that all cut the same pieces.
std::int64_t common_scratch(Communicator& communicator, std::int64_t elements) {
  // Of the collectives there is a maximum only.
  std::int64_t negative = -elements;
  communicator.all_reduce_max({&negative, 1});
  return -negative;
}

}  // namespace

LaneReduction::LaneReduction(Communicator& communicator, int total_lanes,
                             std::vector<std::int64_t> slice_begin, std::int64_t scratch_elements)
    : communicator_(communicator),
      rank_(communicator.rank()),
      ranks_(communicator.size()),
      total_lanes_(total_lanes),
      slice_begin_(std::move(slice_begin)),
      scratch_elements_(common_scratch(communicator, scratch_elements)),
      send_bytes_(at(ranks_)),
      receive_bytes_(at(ranks_)),
      send_begin_(at(ranks_)),
      sources_(at(total_lanes)) {
  TROUPE_CHECK(total_lanes >= ranks_, "lane reduction: {} lanes for {} ranks", total_lanes, ranks_);
  TROUPE_CHECK(slice_begin_.size() == at(ranks_) + 1 && slice_begin_.front() == 0 &&
                   std::is_sorted(slice_begin_.begin(), slice_begin_.end()),
               "lane reduction: {} slice borders for {} ranks must ascend from 0", slice_begin_.size(),
               ranks_);
  std::int64_t longest = 0;
  for (int rank = 0; rank < ranks_; ++rank) longest = std::max(longest, slice(rank).size);
  piece_ = ranks_ == 1 ? longest : std::min(longest, scratch_elements_ / scratch_per_element());
  TROUPE_CHECK(longest == 0 || piece_ > 0,
               "lane reduction: scratch of {} elements; {} ranks and {} lanes need {}", scratch_elements_,
               ranks_, total_lanes_, scratch_per_element());
  pieces_ = longest == 0 ? 0 : (longest + piece_ - 1) / piece_;
  if (total_lanes_ > 1) total_.resize(at(slice(rank_).size));
}

int LaneReduction::lanes_of(int rank) const {
  return total_lanes_ / ranks_ + (rank < total_lanes_ % ranks_ ? 1 : 0);
}

LaneReduction::Interval LaneReduction::slice(int rank) const {
  return {slice_begin_[at(rank)], slice_begin_[at(rank) + 1] - slice_begin_[at(rank)]};
}

LaneReduction::Interval LaneReduction::piece(int rank, std::int64_t index) const {
  const Interval whole = slice(rank);
  const std::int64_t first = std::min(index * piece_, whole.size);
  return {whole.begin + first, std::min(piece_, whole.size - first)};
}

/// Sent: own lanes for the other ranks. Received: the other ranks' lanes.
std::int64_t LaneReduction::scratch_per_element() const {
  return lanes_of(0) * (ranks_ - 1) + (total_lanes_ - total_lanes_ / ranks_);
}

std::span<const float> LaneReduction::reduce(const Execution& execution,
                                             std::span<const std::span<const float>> lanes,
                                             std::span<float> scratch) {
  check_lanes(lanes, scratch);
  // Without a second lane there is no sum, and no copy.
  if (total_lanes_ == 1) return lanes.front().first(at(slice(rank_).size));
  for (std::int64_t index = 0; index < pieces_; ++index) {
    const auto received = ranks_ > 1 ? exchange(execution, index, lanes, scratch) : std::span<const float>{};
    locate_lanes(index, lanes, received);
    add(execution, index);
  }
  return total_;
}

void LaneReduction::check_lanes(std::span<const std::span<const float>> lanes,
                                std::span<const float> scratch) const {
  TROUPE_CHECK(std::ssize(lanes) == lanes_of(rank_),
               "lane reduction: rank {} of {} owns {} of {} lanes, not {}", rank_, ranks_, lanes_of(rank_),
               total_lanes_, lanes.size());
  for (const auto& lane : lanes) {
    TROUPE_CHECK(std::ssize(lane) >= slice_begin_.back(),
                 "lane reduction: a lane of {} elements, slices end at {}", lane.size(), slice_begin_.back());
  }
  TROUPE_CHECK(ranks_ == 1 || std::ssize(scratch) >= scratch_elements_,
               "lane reduction: scratch of {} elements, {} were announced", scratch.size(),
               scratch_elements_);
}

std::span<const float> LaneReduction::exchange(const Execution& execution, std::int64_t index,
                                               std::span<const std::span<const float>> lanes,
                                               std::span<float> scratch) {
  const std::int64_t sent = pack(execution, index, lanes, scratch);
  std::int64_t received = 0;
  const std::int64_t mine = piece(rank_, index).size;
  for (int peer = 0; peer < ranks_; ++peer) {
    const std::int64_t elements = peer == rank_ ? 0 : lanes_of(peer) * mine;
    receive_bytes_[at(peer)] = elements * static_cast<std::int64_t>(sizeof(float));
    received += elements;
  }
  const auto room = part(scratch, sent, received);
  communicator_.all_to_all_v({std::as_bytes(scratch.first(at(sent))), send_bytes_},
                             {std::as_writable_bytes(room), receive_bytes_});
  return room;
}

std::int64_t LaneReduction::pack(const Execution& execution, std::int64_t index,
                                 std::span<const std::span<const float>> lanes, std::span<float> scratch) {
  std::int64_t end = 0;
  for (int peer = 0; peer < ranks_; ++peer) {
    const std::int64_t elements = peer == rank_ ? 0 : lanes_of(rank_) * piece(peer, index).size;
    send_begin_[at(peer)] = end;
    send_bytes_[at(peer)] = elements * static_cast<std::int64_t>(sizeof(float));
    end += elements;
  }
  parallel_for(execution, ranks_, [&](std::int64_t peer) {
    if (peer == rank_) return;
    const Interval part = piece(static_cast<int>(peer), index);
    float* block = scratch.data() + send_begin_[at(peer)];
    for (const auto& lane : lanes) block = std::copy_n(lane.data() + part.begin, part.size, block);
  });
  return end;
}

void LaneReduction::locate_lanes(std::int64_t index, std::span<const std::span<const float>> lanes,
                                 std::span<const float> received) {
  const Interval part = piece(rank_, index);
  const float* next = received.data();
  for (int peer = 0; peer < ranks_; ++peer) {
    for (int lane = 0; lane < lanes_of(peer); ++lane) {
      sources_[at(lane * ranks_ + peer)] =
          peer == rank_ ? lanes[at(lane)].data() + part.begin : next + lane * part.size;
    }
    if (peer != rank_) next += lanes_of(peer) * part.size;
  }
}

void LaneReduction::add(const Execution& execution, std::int64_t index) {
  const Interval part = piece(rank_, index);
  float* out = total_.data() + (part.begin - slice(rank_).begin);
  parallel_for_blocks(execution, part.size, kAddedAtOnce, [&](std::int64_t begin, std::int64_t end) {
    // From zero and in the order of lanes, whoever holds them: this order is the layout invariance.
    std::fill(out + begin, out + end, 0.0F);
    for (const float* source : sources_) add_elements(source + begin, out + begin, end - begin);
  });
}

}  // namespace troupe::comm
