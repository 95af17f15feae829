#include "experts/dispatch/dispatch_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace troupe::experts {
namespace {

// A message to a rank: the layer, the rows that follow, then the count of each of its experts.
constexpr std::size_t kHeader = 2;

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

DispatchPlan::DispatchPlan(const ExpertGroup& group, std::int64_t layer) : group_(group), layer_(layer) {
  const int size = group_.size();
  TROUPE_CHECK(group_.placement.positions() == size, "a placement on {} positions for {} ranks",
               group_.placement.positions(), size);
  const std::size_t incoming = kHeader + at(group_.local_experts());
  segment_begin_.resize(at(size * group_.local_experts()) + 1);
  counts_.resize(at(group_.placement.experts()));
  next_row_.resize(counts_.size());
  messages_out_.resize(kHeader * at(size) + next_row_.size());
  messages_in_.resize(incoming * at(size));
  for (Side* side : {&sent_, &received_}) {
    side->rows_of_rank.resize(at(size));
    side->bytes.resize(at(size));
  }
  message_bytes_in_.assign(at(size), static_cast<std::int64_t>(incoming * sizeof(std::int32_t)));
  for (int rank = 0; rank < size; ++rank) {
    const std::size_t experts = group_.experts_of(rank).size();
    message_bytes_out_.push_back(static_cast<std::int64_t>((kHeader + experts) * sizeof(std::int32_t)));
  }
}

void DispatchPlan::Side::set_row_bytes(std::int64_t row_bytes) {
  std::ranges::transform(rows_of_rank, bytes.begin(), [&](std::int64_t count) { return count * row_bytes; });
}

void DispatchPlan::exchange_counts(Arena& arena, ConstTensorView dispatched) {
  count(dispatched);
  sort_rows(arena, dispatched);
  write_messages();
  group_.communicator.all_to_all_v({std::as_bytes(std::span(messages_out_)), message_bytes_out_},
                                   {std::as_writable_bytes(std::span(messages_in_)), message_bytes_in_});
  received_.rows = 0;
  const std::size_t length = kHeader + at(group_.local_experts());
  for (int source = 0; source < group_.size(); ++source) {
    read_message(source, std::span(messages_in_).subspan(at(source) * length, length));
  }
  segment_begin_.back() = received_.rows;
}

void DispatchPlan::count(ConstTensorView dispatched) {
  std::ranges::fill(counts_, 0);
  const auto experts = static_cast<std::int32_t>(counts_.size());
  for (std::int64_t i = 0; i < dispatched.elements(); ++i) {
    const std::int32_t expert = dispatched.i32()[i];
    TROUPE_CHECK(expert >= -1 && expert < experts, "layer {}: expert {} of {}", layer_, expert, experts);
    if (expert >= 0) ++counts_[static_cast<std::size_t>(expert)];
  }
  sent_.rows = std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
}

void DispatchPlan::sort_rows(Arena& arena, ConstTensorView dispatched) {
  std::int64_t first_row = 0;
  for (const int expert : group_.placement.order()) {
    next_row_[at(expert)] = first_row;
    first_row += counts_[at(expert)];
  }
  tokens_ = arena.allocate({sent_.rows}, DType::kI32);
  slots_ = arena.allocate(dispatched.shape(), DType::kI32);
  const std::int64_t slots = dispatched.columns();
  for (std::int64_t i = 0; i < dispatched.elements(); ++i) {
    const std::int32_t expert = dispatched.i32()[i];
    slots_.i32()[i] = -1;
    if (expert < 0) continue;
    const std::int64_t row = next_row_[static_cast<std::size_t>(expert)]++;
    tokens_.i32()[row] = static_cast<std::int32_t>(i / slots);
    slots_.i32()[i] = static_cast<std::int32_t>(row);
  }
}

void DispatchPlan::write_messages() {
  auto out = messages_out_.begin();
  for (int rank = 0; rank < group_.size(); ++rank) {
    const auto header = out;
    out += kHeader;
    std::int64_t rows = 0;
    for (const int expert : group_.experts_of(rank)) {
      rows += counts_[at(expert)];
      *out++ = static_cast<std::int32_t>(counts_[at(expert)]);
    }
    header[0] = static_cast<std::int32_t>(layer_);
    header[1] = static_cast<std::int32_t>(rows);
    sent_.rows_of_rank[at(rank)] = rows;
  }
}

void DispatchPlan::read_message(int source, std::span<const std::int32_t> message) {
  const auto counts = message.subspan(kHeader);
  const std::int64_t total = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  const bool negative = std::ranges::any_of(counts, [](std::int32_t count) { return count < 0; });
  if (message[0] != layer_ || message[1] != total || negative) {
    throw Error(ErrorCode::kInternal,
                "dispatch of layer {}: rank {} announces {} rows of layer {} to rank {}, but counts [{}], "
                "sum {}: the "
                "ranks are not in the same step",
                layer_, source, message[1], message[0], group_.communicator.rank(), fmt::join(counts, ", "),
                total);
  }
  received_.rows_of_rank[at(source)] = total;
  for (std::size_t expert = 0; expert < counts.size(); ++expert) {
    segment_begin_[at(source) * counts.size() + expert] = received_.rows;
    received_.rows += counts[expert];
  }
}

Segment DispatchPlan::segment(int source, int local_expert) const {
  const std::size_t index = at(source * group_.local_experts() + local_expert);
  return {segment_begin_[index], segment_begin_[index + 1] - segment_begin_[index]};
}

comm::Pending DispatchPlan::start_to_experts(ConstTensorView from, TensorView to) {
  return start(sent_, from, received_, to);
}

comm::Pending DispatchPlan::start_to_tokens(ConstTensorView from, TensorView to) {
  return start(received_, from, sent_, to);
}

comm::Pending DispatchPlan::start(Side& from_side, ConstTensorView from, Side& to_side, TensorView to) {
  TROUPE_CHECK(from.rows() == from_side.rows && to.rows() == to_side.rows && from.columns() == to.columns(),
               "layer {}: exchange of {} rows into {}, planned {} into {}", layer_, from.rows(), to.rows(),
               from_side.rows, to_side.rows);
  if (group_.size() == 1) {
    TROUPE_CHECK(from.f32() == to.f32(), "layer {}: a group of one exchanges rows in place", layer_);
    return {};
  }
  const std::int64_t row_bytes = from.columns() * size_bytes(DType::kF32);
  from_side.set_row_bytes(row_bytes);
  to_side.set_row_bytes(row_bytes);
  return group_.communicator.start_all_to_all_v({std::as_bytes(from.floats()), from_side.bytes},
                                                {std::as_writable_bytes(to.floats()), to_side.bytes});
}

}  // namespace troupe::experts
