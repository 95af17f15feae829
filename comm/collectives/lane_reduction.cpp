#include "comm/collectives/lane_reduction.h"

#include <algorithm>

#include "base/error.h"
#include "base/index.h"
#include "tensor/parallel.h"

namespace troupe::comm {
namespace {

constexpr std::int64_t kAddedAtOnce = 1024;  // elements whose running sum stays in the first-level cache
constexpr std::int64_t kUsualScratch = std::int64_t{1} << 20;     // 4 MiB
constexpr std::int64_t kMessageElements = std::int64_t{1} << 16;  // 256 KiB
constexpr std::int64_t kFloatBytes = sizeof(float);

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

int lanes_of_rank(int ranks, int total_lanes, int rank) {
  return total_lanes / ranks + (rank < total_lanes % ranks ? 1 : 0);
}

/// Of the rank with the most lanes, for each element of a piece. Sent: own lanes for the other ranks.
/// Received: the other ranks' lanes.
std::int64_t scratch_per_element(int ranks, int total_lanes) {
  return std::int64_t{lanes_of_rank(ranks, total_lanes, 0)} * (ranks - 1) +
         (total_lanes - total_lanes / ranks);
}

std::int64_t longest_slice(const std::vector<std::int64_t>& slice_begin) {
  std::int64_t longest = 0;
  for (std::size_t i = 1; i < slice_begin.size(); ++i)
    longest = std::max(longest, slice_begin[i] - slice_begin[i - 1]);
  return longest;
}

}  // namespace

LaneExchange::LaneExchange(int ranks, int total_lanes, std::vector<std::int64_t> slice_begin,
                           std::int64_t scratch_elements)
    : ranks_(ranks), total_lanes_(total_lanes), slice_begin_(std::move(slice_begin)) {
  TROUPE_CHECK(total_lanes >= ranks_, "lane reduction: {} lanes for {} ranks", total_lanes, ranks_);
  TROUPE_CHECK(slice_begin_.size() == at(ranks_) + 1 && slice_begin_.front() == 0 &&
                   std::is_sorted(slice_begin_.begin(), slice_begin_.end()),
               "lane reduction: {} slice borders for {} ranks must ascend from 0", slice_begin_.size(),
               ranks_);
  const std::int64_t longest = longest_slice(slice_begin_);
  const std::int64_t per_element = scratch_per_element(ranks_, total_lanes_);
  piece_ = ranks_ == 1 ? longest : std::min(longest, scratch_elements / per_element);
  TROUPE_CHECK(longest == 0 || piece_ > 0,
               "lane reduction: scratch of {} elements; {} ranks and {} lanes need {}", scratch_elements,
               ranks_, total_lanes_, per_element);
  rounds_ = longest == 0 ? 0 : (longest + piece_ - 1) / piece_;
}

std::int64_t LaneExchange::scratch_for(int ranks, int total_lanes,
                                       const std::vector<std::int64_t>& slice_begin) {
  if (ranks == 1) return 0;
  const std::int64_t per_element = scratch_per_element(ranks, total_lanes);
  const std::int64_t lanes = std::max(1, total_lanes / ranks);  // of a message, at least
  const std::int64_t piece = std::max(kUsualScratch / per_element, (kMessageElements + lanes - 1) / lanes);
  return per_element * std::min(piece, longest_slice(slice_begin));
}

int LaneExchange::lanes_of(int rank) const { return lanes_of_rank(ranks_, total_lanes_, rank); }

LaneExchange::Interval LaneExchange::slice(int rank) const {
  return {slice_begin_[at(rank)], slice_begin_[at(rank) + 1] - slice_begin_[at(rank)]};
}

LaneExchange::Interval LaneExchange::piece(int rank, std::int64_t round) const {
  const Interval whole = slice(rank);
  const std::int64_t first = std::min(round * piece_, whole.size);
  return {whole.begin + first, std::min(piece_, whole.size - first)};
}

Traffic LaneExchange::traffic(int rank) const {
  return {.messages = total_lanes_ == 1 ? 0 : rounds_ * (ranks_ - 1),
          .bytes = kFloatBytes * lanes_of(rank) * (end() - slice(rank).size)};
}

LaneReduction::LaneReduction(Communicator& communicator, int total_lanes,
                             std::vector<std::int64_t> slice_begin, std::int64_t scratch_elements)
    : communicator_(communicator),
      rank_(communicator.rank()),
      ranks_(communicator.size()),
      scratch_elements_(common_scratch(communicator, scratch_elements)),
      plan_(ranks_, total_lanes, std::move(slice_begin), scratch_elements_),
      send_bytes_(at(ranks_)),
      receive_bytes_(at(ranks_)),
      send_begin_(at(ranks_)),
      sources_(at(total_lanes)) {
  if (total_lanes > 1) total_.resize(at(plan_.slice(rank_).size));
}

std::span<const float> LaneReduction::reduce(const Execution& execution,
                                             std::span<const std::span<const float>> lanes,
                                             std::span<float> scratch) {
  check_lanes(lanes, scratch);
  // Without a second lane there is no sum, and no copy.
  if (plan_.total_lanes() == 1) return lanes.front().first(at(plan_.slice(rank_).size));
  for (std::int64_t round = 0; round < plan_.rounds(); ++round) {
    const auto received = ranks_ > 1 ? exchange(execution, round, lanes, scratch) : std::span<const float>{};
    locate_lanes(round, lanes, received);
    add(execution, round);
  }
  return total_;
}

void LaneReduction::check_lanes(std::span<const std::span<const float>> lanes,
                                std::span<const float> scratch) const {
  TROUPE_CHECK(std::ssize(lanes) == plan_.lanes_of(rank_),
               "lane reduction: rank {} of {} owns {} of {} lanes, not {}", rank_, ranks_,
               plan_.lanes_of(rank_), plan_.total_lanes(), lanes.size());
  for (const auto& lane : lanes) {
    TROUPE_CHECK(std::ssize(lane) >= plan_.end(), "lane reduction: a lane of {} elements, slices end at {}",
                 lane.size(), plan_.end());
  }
  TROUPE_CHECK(ranks_ == 1 || std::ssize(scratch) >= scratch_elements_,
               "lane reduction: scratch of {} elements, {} were announced", scratch.size(),
               scratch_elements_);
}

std::span<const float> LaneReduction::exchange(const Execution& execution, std::int64_t round,
                                               std::span<const std::span<const float>> lanes,
                                               std::span<float> scratch) {
  const std::int64_t sent = pack(execution, round, lanes, scratch);
  std::int64_t received = 0;
  const std::int64_t mine = plan_.piece(rank_, round).size;
  for (int peer = 0; peer < ranks_; ++peer) {
    const std::int64_t elements = peer == rank_ ? 0 : plan_.lanes_of(peer) * mine;
    receive_bytes_[at(peer)] = elements * kFloatBytes;
    received += elements;
  }
  const auto room = part(scratch, sent, received);
  communicator_.all_to_all_v({std::as_bytes(scratch.first(at(sent))), send_bytes_},
                             {std::as_writable_bytes(room), receive_bytes_});
  return room;
}

std::int64_t LaneReduction::pack(const Execution& execution, std::int64_t round,
                                 std::span<const std::span<const float>> lanes, std::span<float> scratch) {
  std::int64_t end = 0;
  for (int peer = 0; peer < ranks_; ++peer) {
    const std::int64_t elements = peer == rank_ ? 0 : plan_.lanes_of(rank_) * plan_.piece(peer, round).size;
    send_begin_[at(peer)] = end;
    send_bytes_[at(peer)] = elements * kFloatBytes;
    end += elements;
  }
  parallel_for(execution, ranks_, [&](std::int64_t peer) {
    if (peer == rank_) return;
    const LaneExchange::Interval part = plan_.piece(static_cast<int>(peer), round);
    float* block = scratch.data() + send_begin_[at(peer)];
    for (const auto& lane : lanes) block = std::copy_n(lane.data() + part.begin, part.size, block);
  });
  return end;
}

void LaneReduction::locate_lanes(std::int64_t round, std::span<const std::span<const float>> lanes,
                                 std::span<const float> received) {
  const LaneExchange::Interval part = plan_.piece(rank_, round);
  const float* next = received.data();
  for (int peer = 0; peer < ranks_; ++peer) {
    for (int lane = 0; lane < plan_.lanes_of(peer); ++lane) {
      sources_[at(lane * ranks_ + peer)] =
          peer == rank_ ? lanes[at(lane)].data() + part.begin : next + lane * part.size;
    }
    if (peer != rank_) next += plan_.lanes_of(peer) * part.size;
  }
}

void LaneReduction::add(const Execution& execution, std::int64_t round) {
  const LaneExchange::Interval part = plan_.piece(rank_, round);
  float* out = total_.data() + (part.begin - plan_.slice(rank_).begin);
  parallel_for_blocks(execution, part.size, kAddedAtOnce, [&](std::int64_t begin, std::int64_t end) {
    // From zero and in the order of lanes, whoever holds them: this order is the layout invariance.
    std::fill(out + begin, out + end, 0.0F);
    for (const float* source : sources_) add_elements(source + begin, out + begin, end - begin);
  });
}

}  // namespace troupe::comm
