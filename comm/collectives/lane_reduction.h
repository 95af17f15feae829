#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "comm/collectives/communicator.h"
#include "tensor/execution.h"

namespace troupe::comm {

/// The only code that sums gradients between workers (docs/architecture.md, "Layout invariance",
/// rules 3 and 4).
///
/// Lane s of `total_lanes` lives on rank s mod size. Rank r owns the elements
/// [slice_begin[r], slice_begin[r + 1]); it receives that slice of every lane and adds
/// ((0 + lane 0) + lane 1) + …  Same bits for every number of ranks and threads. size <= total_lanes.
/// One for each kind of gradient, used again every step: it allocates nothing after its construction.
/// Throws kInternal when arguments do not fit together.
class LaneReduction {
 public:
  /// Collective. Lanes travel piece by piece through scratch memory: with two or more ranks it needs at least
  /// 3 * total_lanes elements, more is faster; the smallest of all ranks counts, and the result does not
  /// depend on it. The communicator must outlive the reduction.
  LaneReduction(Communicator& communicator, int total_lanes, std::vector<std::int64_t> slice_begin,
                std::int64_t scratch_elements);

  /// Collective. lanes: this rank's, ascending, each [slice_begin.back()] or longer; scratch: as long as was
  /// said. Returns the sum of this rank's slice, until the next call; of a single lane its own memory.
  [[nodiscard]] std::span<const float> reduce(const Execution& execution,
                                              std::span<const std::span<const float>> lanes,
                                              std::span<float> scratch);

 private:
  struct Interval {
    std::int64_t begin = 0;
    std::int64_t size = 0;
  };
  [[nodiscard]] int lanes_of(int rank) const;
  [[nodiscard]] Interval slice(int rank) const;
  /// Elements of the lanes that are in piece `index` of the slice of `rank`; may be none.
  [[nodiscard]] Interval piece(int rank, std::int64_t index) const;
  [[nodiscard]] std::int64_t scratch_per_element() const;

  void check_lanes(std::span<const std::span<const float>> lanes, std::span<const float> scratch) const;
  /// Sends and receives piece `index`; returns what was received.
  [[nodiscard]] std::span<const float> exchange(const Execution& execution, std::int64_t index,
                                                std::span<const std::span<const float>> lanes,
                                                std::span<float> scratch);
  /// Copies this rank's lanes into one block per peer; returns the elements.
  std::int64_t pack(const Execution& execution, std::int64_t index,
                    std::span<const std::span<const float>> lanes, std::span<float> scratch);
  /// Sets sources_[s] to where lane s's elements of this rank's piece are.
  void locate_lanes(std::int64_t index, std::span<const std::span<const float>> lanes,
                    std::span<const float> received);
  void add(const Execution& execution, std::int64_t index);

  Communicator& communicator_;
  int rank_;
  int ranks_;
  int total_lanes_;
  std::vector<std::int64_t> slice_begin_;  // [ranks + 1]
  std::int64_t scratch_elements_;
  std::int64_t piece_ = 0;   // elements of a slice that travel at once
  std::int64_t pieces_ = 0;  // of the longest slice
  std::vector<float> total_;
  std::vector<std::int64_t> send_bytes_;     // [ranks]
  std::vector<std::int64_t> receive_bytes_;  // [ranks]
  std::vector<std::int64_t> send_begin_;     // [ranks], elements
  std::vector<const float*> sources_;        // [total_lanes]
};

}  // namespace troupe::comm
