#include "comm/collectives/reduce_lanes.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "comm/collectives/byte_blocks.h"
#include "tensor/parallel.h"

namespace troupe::comm {
namespace {

constexpr std::int64_t kAddedAtOnce = 1024;  // elements whose running sum stays in the first-level cache

struct Interval {
  std::int64_t begin = 0;
  std::int64_t size = 0;
};

/// Which elements travel when: every slice in pieces of at most `piece` elements.
class Pieces {
 public:
  Pieces(int ranks, int total_lanes, std::span<const std::int64_t> slice_begin, std::int64_t scratch_elements)
      : ranks_(ranks), lanes_(total_lanes), slice_begin_(slice_begin) {
    for (int rank = 0; rank < ranks_; ++rank) longest_ = std::max(longest_, slice(rank).size);
    piece_ = ranks_ == 1 ? longest_ : std::min(longest_, scratch_elements / scratch_per_element());
    TROUPE_CHECK(longest_ == 0 || piece_ > 0,
                 "reduce_lanes: scratch of {} elements; {} ranks and {} lanes need {}", scratch_elements,
                 ranks_, lanes_, scratch_per_element());
  }

  [[nodiscard]] std::int64_t count() const { return longest_ == 0 ? 0 : (longest_ + piece_ - 1) / piece_; }
  [[nodiscard]] int ranks() const { return ranks_; }
  [[nodiscard]] int lanes_of(int rank) const { return lanes_ / ranks_ + (rank < lanes_ % ranks_ ? 1 : 0); }
  [[nodiscard]] Interval slice(int rank) const {
    const auto owner = static_cast<std::size_t>(rank);
    return {slice_begin_[owner], slice_begin_[owner + 1] - slice_begin_[owner]};
  }
  /// Elements of the lanes that are in piece `index` of the slice of `rank`; may be none.
  [[nodiscard]] Interval piece(int rank, std::int64_t index) const {
    const Interval whole = slice(rank);
    const std::int64_t first = std::min(index * piece_, whole.size);
    return {whole.begin + first, std::min(piece_, whole.size - first)};
  }

 private:
  // Sent: own lanes for the other ranks. Received: the other ranks' lanes.
  [[nodiscard]] std::int64_t scratch_per_element() const {
    const std::int64_t own_lanes = lanes_of(0);
    return own_lanes * (ranks_ - 1) + (lanes_ - lanes_ / ranks_);
  }

  int ranks_;
  int lanes_;
  std::span<const std::int64_t> slice_begin_;
  std::int64_t longest_ = 0;
  std::int64_t piece_ = 0;
};

class Reduction {
 public:
  Reduction(const Execution& execution, Communicator& communicator, const Pieces& pieces, int total_lanes,
            std::span<const std::span<const float>> lanes, std::span<float> scratch, std::span<float> total)
      : execution_(execution),
        communicator_(communicator),
        pieces_(pieces),
        rank_(communicator.rank()),
        lanes_(lanes),
        scratch_(scratch),
        total_(total),
        send_bytes_(static_cast<std::size_t>(pieces.ranks())),
        receive_bytes_(send_bytes_.size()),
        send_begin_(send_bytes_.size()),
        sources_(static_cast<std::size_t>(total_lanes)) {}

  void reduce_piece(std::int64_t index) {
    if (pieces_.ranks() > 1) exchange(index);
    locate_lanes(index);
    add(index);
  }

 private:
  void exchange(std::int64_t index) {
    const std::int64_t sent = pack(index);
    std::int64_t received = 0;
    const std::int64_t mine = pieces_.piece(rank_, index).size;
    for (int peer = 0; peer < pieces_.ranks(); ++peer) {
      const std::int64_t elements = peer == rank_ ? 0 : pieces_.lanes_of(peer) * mine;
      receive_bytes_[static_cast<std::size_t>(peer)] = elements * static_cast<std::int64_t>(sizeof(float));
      received += elements;
    }
    received_ = scratch_.subspan(static_cast<std::size_t>(sent), static_cast<std::size_t>(received));
    communicator_.all_to_all_v({std::as_bytes(scratch_.first(static_cast<std::size_t>(sent))), send_bytes_},
                               {std::as_writable_bytes(received_), receive_bytes_});
  }

  /// Copies this rank's lanes into one block per peer; returns the elements.
  std::int64_t pack(std::int64_t index) {
    std::int64_t end = 0;
    for (int peer = 0; peer < pieces_.ranks(); ++peer) {
      const std::int64_t elements =
          peer == rank_ ? 0 : pieces_.lanes_of(rank_) * pieces_.piece(peer, index).size;
      send_begin_[static_cast<std::size_t>(peer)] = end;
      send_bytes_[static_cast<std::size_t>(peer)] = elements * static_cast<std::int64_t>(sizeof(float));
      end += elements;
    }
    parallel_for(execution_, pieces_.ranks(), [&](std::int64_t peer) {
      if (peer == rank_) return;
      const Interval piece = pieces_.piece(static_cast<int>(peer), index);
      float* block = scratch_.data() + send_begin_[static_cast<std::size_t>(peer)];
      for (const auto& lane : lanes_) block = std::copy_n(lane.data() + piece.begin, piece.size, block);
    });
    return end;
  }

  /// Sets sources_[s] to where lane s's elements of this rank's piece are.
  void locate_lanes(std::int64_t index) {
    const Interval piece = pieces_.piece(rank_, index);
    const auto ranks = static_cast<std::size_t>(pieces_.ranks());
    const float* received = received_.data();
    for (int peer = 0; peer < pieces_.ranks(); ++peer) {
      for (int lane = 0; lane < pieces_.lanes_of(peer); ++lane) {
        const auto number = static_cast<std::size_t>(lane);
        sources_[number * ranks + static_cast<std::size_t>(peer)] =
            peer == rank_ ? lanes_[number].data() + piece.begin : received + lane * piece.size;
      }
      if (peer != rank_) received += pieces_.lanes_of(peer) * piece.size;
    }
  }

  void add(std::int64_t index) {
    const Interval piece = pieces_.piece(rank_, index);
    float* out = total_.data() + (piece.begin - pieces_.slice(rank_).begin);
    const std::int64_t blocks = (piece.size + kAddedAtOnce - 1) / kAddedAtOnce;
    parallel_for(execution_, blocks, [&](std::int64_t block) {
      const std::int64_t begin = block * kAddedAtOnce;
      const std::int64_t size = std::min(kAddedAtOnce, piece.size - begin);
      std::fill_n(out + begin, size, 0.0F);
      for (const float* source : sources_) add_elements(source + begin, out + begin, size);
    });
  }

  static void add_elements(const float* __restrict source, float* __restrict sum, std::int64_t size) {
    for (std::int64_t i = 0; i < size; ++i) sum[i] += source[i];
  }

  const Execution& execution_;
  Communicator& communicator_;
  const Pieces& pieces_;
  int rank_;
  std::span<const std::span<const float>> lanes_;
  std::span<float> scratch_;
  std::span<float> total_;
  std::span<float> received_;
  std::vector<std::int64_t> send_bytes_;     // [ranks]
  std::vector<std::int64_t> receive_bytes_;  // [ranks]
  std::vector<std::int64_t> send_begin_;     // [ranks], elements
  std::vector<const float*> sources_;        // [total_lanes]
};

void check_arguments(const Communicator& communicator, int total_lanes,
                     std::span<const std::span<const float>> lanes, std::span<const std::int64_t> slice_begin,
                     std::span<const float> total) {
  const int rank = communicator.rank();
  const int size = communicator.size();
  TROUPE_CHECK(total_lanes >= size, "reduce_lanes: {} lanes for {} ranks", total_lanes, size);
  const int own = total_lanes / size + (rank < total_lanes % size ? 1 : 0);
  TROUPE_CHECK(lanes.size() == static_cast<std::size_t>(own),
               "reduce_lanes: rank {} of {} owns {} of {} lanes, not {}", rank, size, own, total_lanes,
               lanes.size());
  TROUPE_CHECK(slice_begin.size() == static_cast<std::size_t>(size) + 1 && slice_begin.front() == 0 &&
                   std::is_sorted(slice_begin.begin(), slice_begin.end()),
               "reduce_lanes: {} slice borders for {} ranks must ascend from 0", slice_begin.size(), size);
  for (const auto& lane : lanes) {
    TROUPE_CHECK(static_cast<std::int64_t>(lane.size()) >= slice_begin.back(),
                 "reduce_lanes: a lane of {} elements, slices end at {}", lane.size(), slice_begin.back());
  }
  const auto owner = static_cast<std::size_t>(rank);
  TROUPE_CHECK(static_cast<std::int64_t>(total.size()) == slice_begin[owner + 1] - slice_begin[owner],
               "reduce_lanes: room for {} elements, the slice of rank {} has {}", total.size(), rank,
               slice_begin[owner + 1] - slice_begin[owner]);
}

/// The smallest scratch of all ranks, so that all cut the same pieces.
std::int64_t common_scratch(Communicator& communicator, std::span<const float> scratch) {
  if (communicator.size() == 1) return 0;
  std::int64_t negative = -static_cast<std::int64_t>(scratch.size());
  communicator.all_reduce_max({&negative, 1});
  return -negative;
}

}  // namespace

void reduce_lanes(const Execution& execution, Communicator& communicator, int total_lanes,
                  std::span<const std::span<const float>> lanes, std::span<const std::int64_t> slice_begin,
                  std::span<float> scratch, std::span<float> total) {
  check_arguments(communicator, total_lanes, lanes, slice_begin, total);
  const Pieces pieces(communicator.size(), total_lanes, slice_begin, common_scratch(communicator, scratch));
  Reduction reduction(execution, communicator, pieces, total_lanes, lanes, scratch, total);
  for (std::int64_t index = 0; index < pieces.count(); ++index) reduction.reduce_piece(index);
}

}  // namespace troupe::comm
