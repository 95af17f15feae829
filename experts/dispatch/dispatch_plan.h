#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "comm/collectives/communicator.h"
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

/// Who sends what to whom in one wave of one layer: made in forward, used again in backward.
/// Rows travel sorted by (destination rank, expert, token), so they arrive as (source rank, expert, token).
class DispatchPlan {
 public:
  /// layer: for messages. The group's communicator must outlive the plan.
  DispatchPlan(const ExpertGroup& group, std::int64_t layer);

  /// Counts and sorts a microbatch's (token, slot) pairs, and exchanges the counts. Collective.
  ///   dispatched: [tokens, slots] i32, expert ids; -1: nothing is sent for this slot
  /// Throws kInternal naming rank, layer and counts when a peer's message does not fit, before any
  /// row moves.
  void exchange_counts(Arena& arena, ConstTensorView dispatched);

  [[nodiscard]] std::int64_t rows_sent() const { return sent_.rows; }
  [[nodiscard]] std::int64_t rows_received() const { return received_.rows; }
  /// [rows_sent] i32: token of each sent row.
  [[nodiscard]] ConstTensorView tokens() const { return tokens_; }
  /// [tokens, slots] i32: sent row of each slot, -1 where nothing is sent.
  [[nodiscard]] ConstTensorView slots() const { return slots_; }
  [[nodiscard]] Segment segment(int source, int local_expert) const;
  [[nodiscard]] int sources() const { return group_.size(); }
  [[nodiscard]] int local_experts() const { return group_.local_experts(); }

  /// Exchanges of rows. In a group of one nothing moves: `from` and `to` must be the same buffer.
  /// Rows to the workers of their experts. from: [rows_sent, columns], to: [rows_received, columns]
  [[nodiscard]] comm::Pending start_to_experts(ConstTensorView from, TensorView to);
  /// The way back. from: [rows_received, columns], to: [rows_sent, columns]
  [[nodiscard]] comm::Pending start_to_tokens(ConstTensorView from, TensorView to);

 private:
  struct Side {
    std::vector<std::int64_t> rows_of_rank;  // [size]
    std::vector<std::int64_t> bytes;         // [size], scratch of an exchange
    std::int64_t rows = 0;
    void set_row_bytes(std::int64_t row_bytes);
  };

  void count(ConstTensorView dispatched);
  void sort_rows(Arena& arena, ConstTensorView dispatched);
  void write_messages();
  void read_message(int source, std::span<const std::int32_t> message);
  [[nodiscard]] comm::Pending start(Side& from_side, ConstTensorView from, Side& to_side, TensorView to);

  ExpertGroup group_;
  std::int64_t layer_;
  Side sent_;
  Side received_;
  std::vector<std::int64_t> segment_begin_;  // [size * local experts + 1]
  std::vector<std::int64_t> counts_;         // [experts], rows sent to each
  std::vector<std::int64_t> next_row_;       // [experts], scratch of the sort
  std::vector<std::int32_t> messages_out_;
  std::vector<std::int32_t> messages_in_;
  std::vector<std::int64_t> message_bytes_out_;  // [size]
  std::vector<std::int64_t> message_bytes_in_;   // [size]
  TensorView tokens_;
  TensorView slots_;
};

}  // namespace troupe::experts
