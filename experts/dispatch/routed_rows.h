#pragma once
#include <cstdint>

#include "experts/options.h"
#include "layout/options.h"

namespace troupe::experts {

/// Routed experts with compute that a token has on average: top_k; with zero-compute experts those of a
/// balanced router, or what the balancer aims at; with expert_choice capacity.factor * top_k.
[[nodiscard]] double routed_experts_per_token(const MoeOptions& options);

/// Who shares a layer's tokens.
struct DispatchGroup {
  std::int64_t workers = 1;
  std::int64_t local_experts = 0;  // of the worker in question
  layout::DispatchOptions options = {};
};

/// Rows that the dispatch of one layer has on one worker: what its memory depends on.
struct RoutedRows {
  std::int64_t sent = 0;
  std::int64_t received = 0;  // at once: of one chunk
  std::int64_t segments = 0;  // that the received rows may be cut into
  bool kept = true;           // what experts received, until backward; else there are several chunks
  bool in_place = true;       // a group of one: nothing moves
  std::int64_t exchange = 0;  // elements of 4 bytes of the arena that one exchange takes on the way
};

/// The most that a microbatch of `tokens` can have, whatever the routing: every token of every worker of
/// the group may choose this worker's experts.
[[nodiscard]] RoutedRows most_rows(const MoeOptions& options, std::int64_t hidden_size, std::int64_t tokens,
                                   const DispatchGroup& group);
/// With experts evenly used.
[[nodiscard]] RoutedRows even_rows(const MoeOptions& options, std::int64_t hidden_size, std::int64_t tokens,
                                   const DispatchGroup& group);

}  // namespace troupe::experts
