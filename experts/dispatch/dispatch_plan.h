#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/index.h"
#include "comm/collectives/communicator.h"
#include "experts/dispatch/exchange.h"
#include "experts/expert_group.h"
#include "tensor/arena.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// Rows of the receive buffer that one source rank's microbatch sent to one expert: the unit of expert
/// computation (docs/architecture.md, "Layout invariance", rule 2).
struct Segment {
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
};

/// What one exchange carries: the rows of some consecutive local experts of every rank. A view into a
/// plan.
class DispatchChunk {
 public:
  DispatchChunk(int index, RowTable rows, int rank, std::int64_t first_sent_row,
                std::span<const Segment> segments, std::span<const std::int32_t> chunk_of_local_expert,
                std::span<const std::int64_t> first_tokens);

  [[nodiscard]] int index() const { return index_; }
  /// Rows sent before those of this chunk; its own follow.
  [[nodiscard]] std::int64_t first_sent_row() const { return first_sent_row_; }
  [[nodiscard]] std::int64_t rows_sent() const { return rows_sent_; }
  [[nodiscard]] std::int64_t rows_received() const { return rows_received_; }
  [[nodiscard]] int sources() const { return rows_.size(); }
  /// Of the rows received by this chunk; without rows for an expert of another chunk.
  [[nodiscard]] Segment segment(int source, int local_expert) const;
  [[nodiscard]] RowTable rows() const { return rows_; }
  /// Number in the run of the first token of a source's microbatch.
  [[nodiscard]] std::int64_t first_token(int source) const { return first_tokens_[at(source)]; }

 private:
  int index_;
  RowTable rows_;  // on the way to the experts
  std::int64_t first_sent_row_;
  std::int64_t rows_sent_ = 0;
  std::int64_t rows_received_ = 0;
  std::span<const Segment> segments_;                    // [size, local experts]
  std::span<const std::int32_t> chunk_of_local_expert_;  // [local experts]
  std::span<const std::int64_t> first_tokens_;           // [size]
};

/// 32-bit words of the message in which a rank tells the others its rows for every expert.
[[nodiscard]] std::int64_t dispatch_message_words(std::int64_t experts);

/// Who sends what to whom in one wave of one layer: made in forward, used again in backward.
/// Rows are sent sorted by (chunk, rank, expert, token), so each chunk's arrive as (source rank, expert,
/// token). Without a limit of bytes there is one chunk; with it, a rank's experts are cut, in order, into
/// chunks that receive at most that much, or one expert, and all ranks have as many chunks as the one
/// with the most.
class DispatchPlan {
 public:
  /// layer: for messages. The group's communicator and the exchange must outlive the plan.
  DispatchPlan(const ExpertGroup& group, Exchange& exchange, std::int64_t layer);

  /// Counts and sorts a microbatch's (token, slot) pairs, and exchanges the counts. Collective.
  ///   dispatched: [tokens, slots] i32, expert ids; -1: nothing is sent for this slot
  ///   row_bytes: that a received row takes, compared with the limit
  ///   known: [experts or more], pairs of each expert, where the caller knows them; has to on a device
  ///   first_token: number in the run of the microbatch's first token
  /// Throws kInternal naming rank, layer and counts when a peer's message does not fit, before any
  /// row moves.
  void exchange_counts(Arena& arena, ConstTensorView dispatched, std::int64_t row_bytes,
                       std::span<const std::int64_t> known = {}, std::int64_t first_token = 0);

  [[nodiscard]] std::int64_t rows_sent() const { return rows_sent_; }
  /// [rows_sent] i32: token of each sent row, and its index in [tokens, slots].
  [[nodiscard]] ConstTensorView tokens() const { return tokens_; }
  [[nodiscard]] ConstTensorView pairs() const { return pairs_; }
  /// [tokens, slots] i32: sent row of each slot, -1 where nothing is sent.
  [[nodiscard]] ConstTensorView slots() const { return slots_; }

  [[nodiscard]] int chunks() const { return chunks_; }
  [[nodiscard]] DispatchChunk chunk(int index) const;

 private:
  void count(ConstTensorView dispatched);
  void take_counts(std::span<const std::int64_t> known);
  void write_message(std::int64_t most_rows, std::int64_t first_token);
  void check_message(int source) const;
  void cut_chunks(std::int64_t most_rows);
  void fill_tables();
  void sort_rows(Arena& arena, ConstTensorView dispatched);
  void sort_on_device(Arena& arena, ConstTensorView dispatched);
  void place_segments();
  /// Rows that `source` sends to `expert`.
  [[nodiscard]] std::int32_t rows_of(int source, int expert) const;
  template <class Body>
  void for_experts_in_order(const Body& body) const;  // body(expert) by (chunk, rank, expert)

  ExpertGroup group_;
  Exchange& exchange_;
  std::int64_t layer_;
  int experts_;
  int chunks_ = 1;
  std::int64_t rows_sent_ = 0;
  std::vector<std::int32_t> message_;         // header, then this rank's rows for every expert
  std::vector<std::int32_t> messages_;        // [size] of them
  std::vector<std::int32_t> chunk_of_;        // [experts], among its rank's chunks
  std::vector<std::int32_t> chunk_of_local_;  // [local experts]
  std::vector<std::int64_t> first_tokens_;    // [size]
  std::vector<std::int64_t> tables_;          // [chunks, size, size], rows from rank to rank
  std::vector<std::int64_t> first_sent_;      // [chunks]
  std::vector<std::int64_t> next_row_;        // [experts], scratch of the sort
  std::vector<std::int32_t> order_;           // [experts], by (chunk, rank, expert); on a device
  std::vector<Segment> segments_;             // [size, local experts], rows within a chunk
  TensorView tokens_, pairs_, slots_;
};

}  // namespace troupe::experts
