#include "experts/dispatch/dispatch_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/index.h"
#include "tensor/ops/device_ops.h"
#include "tensor/transfer.h"

namespace troupe::experts {
namespace {

// A message: the layer, the rows that follow, the most rows of a chunk, the first token's number in two
// words, then the rows for each expert.
constexpr std::size_t kHeader = 5;
constexpr int kWordBits = 32;

std::int64_t rows_within(std::int64_t max_bytes, std::int64_t row_bytes) {
  constexpr std::int64_t kAll = std::numeric_limits<std::int32_t>::max();
  return max_bytes == 0 ? kAll : std::min(kAll, max_bytes / std::max<std::int64_t>(1, row_bytes));
}

}  // namespace

std::int64_t dispatch_message_words(std::int64_t experts) {
  return static_cast<std::int64_t>(kHeader) + experts;
}

DispatchChunk::DispatchChunk(int index, RowTable rows, int rank, std::int64_t first_sent_row,
                             std::span<const Segment> segments,
                             std::span<const std::int32_t> chunk_of_local_expert,
                             std::span<const std::int64_t> first_tokens)
    : index_(index),
      rows_(rows),
      first_sent_row_(first_sent_row),
      segments_(segments),
      chunk_of_local_expert_(chunk_of_local_expert),
      first_tokens_(first_tokens) {
  for (int peer = 0; peer < rows.size(); ++peer) {
    rows_sent_ += rows(rank, peer);
    rows_received_ += rows(peer, rank);
  }
}

Segment DispatchChunk::segment(int source, int local_expert) const {
  if (chunk_of_local_expert_[at(local_expert)] != index_) return {};
  return segments_[at(source) * chunk_of_local_expert_.size() + at(local_expert)];
}

DispatchPlan::DispatchPlan(const ExpertGroup& group, Exchange& exchange, std::int64_t layer)
    : group_(group),
      exchange_(exchange),
      layer_(layer),
      experts_(group.placement.experts()),
      message_(kHeader + at(experts_)),
      messages_(message_.size() * at(group.size())),
      chunk_of_(at(experts_)),
      chunk_of_local_(at(group.local_experts())),
      first_tokens_(at(group.size())),
      next_row_(at(experts_)),
      segments_(at(group.size() * group.local_experts())) {
  TROUPE_CHECK(group_.placement.positions() == group_.size(), "a placement on {} positions for {} ranks",
               group_.placement.positions(), group_.size());
}

void DispatchPlan::exchange_counts(Arena& arena, ConstTensorView dispatched, std::int64_t row_bytes,
                                   std::span<const std::int64_t> known, std::int64_t first_token) {
  const std::int64_t most_rows = rows_within(group_.dispatch.max_bytes, row_bytes);
  if (arena.accelerator() == nullptr) {
    count(dispatched);
  } else {
    take_counts(known);
  }
  write_message(most_rows, first_token);
  exchange_.gather(message_, messages_);
  // Ranks that are not in the same step would take each other's rows for what they wait for.
  for (int source = 0; source < group_.size(); ++source) check_message(source);
  for (int source = 0; source < group_.size(); ++source) {
    const std::int32_t* words = messages_.data() + at(source) * message_.size() + 3;
    first_tokens_[at(source)] =
        static_cast<std::int64_t>(words[1]) << kWordBits | static_cast<std::uint32_t>(words[0]);
  }
  cut_chunks(most_rows);
  fill_tables();
  sort_rows(arena, dispatched);
  place_segments();
}

void DispatchPlan::count(ConstTensorView dispatched) {
  const std::span<std::int32_t> counts = std::span(message_).subspan(kHeader);
  std::ranges::fill(counts, 0);
  TROUPE_CHECK(dispatched.elements() <= std::numeric_limits<std::int32_t>::max(),
               "layer {}: {} pairs of a microbatch are numbered with 32 bits", layer_, dispatched.elements());
  for (std::int64_t i = 0; i < dispatched.elements(); ++i) {
    const std::int32_t expert = dispatched.i32()[i];
    TROUPE_CHECK(expert >= -1 && expert < experts_, "layer {}: expert {} of {}", layer_, expert, experts_);
    if (expert >= 0) ++counts[at(expert)];
  }
  rows_sent_ = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

void DispatchPlan::take_counts(std::span<const std::int64_t> known) {
  const std::span<std::int32_t> counts = std::span(message_).subspan(kHeader);
  TROUPE_CHECK(known.size() >= counts.size(), "layer {}: counts of {} experts, expected {}", layer_,
               known.size(), counts.size());
  std::ranges::transform(known.first(counts.size()), counts.begin(),
                         [](std::int64_t count) { return static_cast<std::int32_t>(count); });
  rows_sent_ = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

void DispatchPlan::write_message(std::int64_t most_rows, std::int64_t first_token) {
  message_[0] = static_cast<std::int32_t>(layer_);
  message_[1] = static_cast<std::int32_t>(rows_sent_);
  message_[2] = static_cast<std::int32_t>(most_rows);
  message_[3] = static_cast<std::int32_t>(first_token);
  message_[4] = static_cast<std::int32_t>(first_token >> kWordBits);
}

void DispatchPlan::check_message(int source) const {
  const auto message = std::span(messages_).subspan(at(source) * message_.size(), message_.size());
  const auto counts = message.subspan(kHeader);
  const std::int64_t total = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  const bool negative = std::ranges::any_of(counts, [](std::int32_t count) { return count < 0; });
  if (message[0] != layer_ || message[1] != total || negative) {
    throw Error(
        ErrorCode::kInternal,
        "dispatch of layer {} on rank {}: rank {} announces {} rows of layer {}, but counts [{}], sum "
        "{}: the ranks are not in the same step",
        layer_, group_.communicator.rank(), source, message[1], message[0], fmt::join(counts, ", "), total);
  }
  if (message[2] != message_[2]) {
    throw Error(ErrorCode::kInternal,
                "dispatch of layer {} on rank {}: rank {} wants at most {} rows at once, this rank {}: "
                "parallel.dispatch.max_bytes must be the same on all workers",
                layer_, group_.communicator.rank(), source, message[2], message_[2]);
  }
}

std::int32_t DispatchPlan::rows_of(int source, int expert) const {
  return messages_[at(source) * message_.size() + kHeader + at(expert)];
}

/// Every rank cuts for all: the counts say everything.
void DispatchPlan::cut_chunks(std::int64_t most_rows) {
  chunks_ = 1;
  for (int rank = 0; rank < group_.size(); ++rank) {
    std::int64_t in_chunk = 0;
    std::int32_t chunk = 0;
    for (const int expert : group_.experts_of(rank)) {
      std::int64_t rows = 0;
      for (int source = 0; source < group_.size(); ++source) rows += rows_of(source, expert);
      // An expert is never split, so a chunk has one at least, however many rows that is.
      if (in_chunk > 0 && rows > 0 && in_chunk + rows > most_rows) {
        ++chunk;
        in_chunk = 0;
      }
      in_chunk += rows;
      chunk_of_[at(expert)] = chunk;
    }
    chunks_ = std::max(chunks_, chunk + 1);
  }
}

void DispatchPlan::fill_tables() {
  const int size = group_.size();
  tables_.assign(at(chunks_ * size * size), 0);
  for (int source = 0; source < size; ++source) {
    for (int rank = 0; rank < size; ++rank) {
      for (const int expert : group_.experts_of(rank)) {
        tables_[at((chunk_of_[at(expert)] * size + source) * size + rank)] += rows_of(source, expert);
      }
    }
  }
}

template <class Body>
void DispatchPlan::for_experts_in_order(const Body& body) const {
  for (int chunk = 0; chunk < chunks_; ++chunk) {
    for (const int expert : group_.placement.order()) {
      if (chunk_of_[at(expert)] == chunk) body(expert);
    }
  }
}

void DispatchPlan::sort_rows(Arena& arena, ConstTensorView dispatched) {
  std::int64_t next = 0;
  first_sent_.assign(at(chunks_), -1);
  for_experts_in_order([&](int expert) {
    std::int64_t& first = first_sent_[at(chunk_of_[at(expert)])];
    if (first < 0) first = next;
    next_row_[at(expert)] = next;
    next += message_[kHeader + at(expert)];
  });
  tokens_ = arena.allocate({rows_sent_}, DType::kI32);
  pairs_ = arena.allocate({rows_sent_}, DType::kI32);
  slots_ = arena.allocate(dispatched.shape(), DType::kI32);
  if (arena.accelerator() != nullptr) return sort_on_device(arena, dispatched);
  // In the order of tokens: a segment has its rows in it on every layout.
  const std::int64_t slots = dispatched.columns();
  for (std::int64_t i = 0; i < dispatched.elements(); ++i) {
    const std::int32_t expert = dispatched.i32()[i];
    slots_.i32()[i] = -1;
    if (expert < 0) continue;
    const std::int64_t row = next_row_[at(expert)]++;
    tokens_.i32()[row] = static_cast<std::int32_t>(i / slots);
    pairs_.i32()[row] = static_cast<std::int32_t>(i);
    slots_.i32()[i] = static_cast<std::int32_t>(row);
  }
}

void DispatchPlan::sort_on_device(Arena& arena, ConstTensorView dispatched) {
  order_.clear();
  for_experts_in_order([&](int expert) { order_.push_back(expert); });
  const ArenaScope scope(arena);
  const TensorView order = arena.allocate({experts_}, DType::kI32);
  transfer(arena.accelerator(), {order_.data(), Shape{experts_}}, order);
  arena.accelerator()->ops().plan({.dispatched = dispatched,
                                   .order = order,
                                   .experts = experts_,
                                   .tokens = tokens_,
                                   .pairs = pairs_,
                                   .slots = slots_});
}

void DispatchPlan::place_segments() {
  const auto local = group_.local();
  for (std::size_t i = 0; i < local.size(); ++i) chunk_of_local_[i] = chunk_of_[at(local[i])];
  for (int chunk = 0; chunk < chunks_; ++chunk) {
    std::int64_t next = 0;
    for (int source = 0; source < group_.size(); ++source) {
      for (std::size_t i = 0; i < local.size(); ++i) {
        if (chunk_of_local_[i] != chunk) continue;
        const std::int32_t rows = rows_of(source, local[i]);
        segments_[at(source) * local.size() + i] = {next, rows};
        next += rows;
      }
    }
  }
}

DispatchChunk DispatchPlan::chunk(int index) const {
  const int size = group_.size();
  const auto table = std::span(tables_).subspan(at(index * size * size), at(size * size));
  return {index,
          RowTable(table, size, /*back=*/false),
          group_.communicator.rank(),
          first_sent_[at(index)],
          segments_,
          chunk_of_local_,
          first_tokens_};
}

}  // namespace troupe::experts
