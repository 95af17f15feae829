#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "comm/collectives/communicator.h"
#include "comm/collectives/traffic.h"
#include "tensor/execution.h"

namespace troupe::comm {

/// Who owns what of the lanes of a reduction, and the pieces that they travel in. A pure function of sizes.
///
/// Lane s of `total_lanes` lives on rank s mod ranks. Rank r owns the elements
/// [slice_begin[r], slice_begin[r + 1]). In round i every rank sends piece i of every other rank's slice, of
/// each of its lanes, to that rank: one message for each peer and round.
class LaneExchange {
 public:
  struct Interval {
    std::int64_t begin = 0;
    std::int64_t size = 0;
  };

  /// scratch_elements: of memory for what travels; see scratch_for()
  /// Throws kInternal when they do not fit together.
  LaneExchange(int ranks, int total_lanes, std::vector<std::int64_t> slice_begin,
               std::int64_t scratch_elements);

  /// Scratch with which a message has at least 256 KiB, or all that a peer owns, for any number of ranks:
  /// messages are as many as the bytes are, not as the ranks. Few ranks get larger ones, up to 4 MiB of
  /// scratch. 0 for one rank.
  [[nodiscard]] static std::int64_t scratch_for(int ranks, int total_lanes,
                                                const std::vector<std::int64_t>& slice_begin);

  [[nodiscard]] int ranks() const { return ranks_; }
  [[nodiscard]] int total_lanes() const { return total_lanes_; }
  [[nodiscard]] std::int64_t end() const { return slice_begin_.back(); }
  [[nodiscard]] std::int64_t rounds() const { return rounds_; }
  [[nodiscard]] int lanes_of(int rank) const;
  [[nodiscard]] Interval slice(int rank) const;
  /// Elements of the lanes that are in piece `round` of the slice of `rank`; may be none.
  [[nodiscard]] Interval piece(int rank, std::int64_t round) const;
  /// What `rank` sends in all rounds.
  [[nodiscard]] Traffic traffic(int rank) const;

 private:
  int ranks_;
  int total_lanes_;
  std::vector<std::int64_t> slice_begin_;  // [ranks + 1]
  std::int64_t piece_ = 0;                 // elements of a slice that travel at once
  std::int64_t rounds_ = 0;                // of the longest slice
};

/// The only code that sums gradients between workers (docs/architecture.md, "Layout invariance",
/// rules 3 and 4).
///
/// The owner of a slice receives it of every lane and adds ((0 + lane 0) + lane 1) + …  Same bits for every
/// number of ranks and threads. size <= total_lanes. Partial sums of several lanes cannot travel instead: a
/// sum begins at lane 0, so only a chain through all ranks would have the same bits.
/// One for each kind of gradient, used again every step: it allocates nothing after its construction.
/// Throws kInternal when arguments do not fit together.
class LaneReduction {
 public:
  /// Collective. Lanes travel piece by piece through scratch memory: with two or more ranks it needs at least
  /// 3 * total_lanes elements; the smallest of all ranks counts, and the result does not depend on it. The
  /// communicator must outlive the reduction.
  LaneReduction(Communicator& communicator, int total_lanes, std::vector<std::int64_t> slice_begin,
                std::int64_t scratch_elements);

  /// Collective. lanes: this rank's, ascending, each [slice_begin.back()] or longer; scratch: as long as was
  /// said. Returns the sum of this rank's slice, until the next call; of a single lane its own memory.
  [[nodiscard]] std::span<const float> reduce(const Execution& execution,
                                              std::span<const std::span<const float>> lanes,
                                              std::span<float> scratch);

 private:
  void check_lanes(std::span<const std::span<const float>> lanes, std::span<const float> scratch) const;
  /// Sends and receives the pieces of a round; returns what was received.
  [[nodiscard]] std::span<const float> exchange(const Execution& execution, std::int64_t round,
                                                std::span<const std::span<const float>> lanes,
                                                std::span<float> scratch);
  /// Copies this rank's lanes into one block per peer; returns the elements.
  std::int64_t pack(const Execution& execution, std::int64_t round,
                    std::span<const std::span<const float>> lanes, std::span<float> scratch);
  /// Sets sources_[s] to where lane s's elements of this rank's piece are.
  void locate_lanes(std::int64_t round, std::span<const std::span<const float>> lanes,
                    std::span<const float> received);
  void add(const Execution& execution, std::int64_t round);

  Communicator& communicator_;
  int rank_;
  int ranks_;
  std::int64_t scratch_elements_;
  LaneExchange plan_;
  std::vector<float> total_;
  std::vector<std::int64_t> send_bytes_;     // [ranks]
  std::vector<std::int64_t> receive_bytes_;  // [ranks]
  std::vector<std::int64_t> send_begin_;     // [ranks], elements
  std::vector<const float*> sources_;        // [total_lanes]
};

}  // namespace troupe::comm
