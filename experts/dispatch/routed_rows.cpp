#include "experts/dispatch/routed_rows.h"

#include <algorithm>
#include <cmath>

#include "experts/router/selector.h"

namespace troupe::experts {
namespace {

/// Rows of a chunk, where one expert may have up to `rows_of_expert`.
std::int64_t rows_at_once(const DispatchGroup& group, std::int64_t hidden_size, std::int64_t rows_of_expert) {
  constexpr std::int64_t kFloatBytes = 4;
  return std::max(group.options.max_bytes / (kFloatBytes * hidden_size), rows_of_expert);
}

/// passing: rows through this worker on their way to another, where the exchange is hierarchical
std::int64_t exchange_elements(const layout::DispatchOptions& options, const RoutedRows& rows,
                               std::int64_t passing, std::int64_t hidden_size) {
  const bool narrow = options.dtype == layout::DispatchType::kBf16;
  const std::int64_t width = narrow ? (hidden_size + 1) / 2 : hidden_size;
  const std::int64_t ends = rows.sent + rows.received;
  return (narrow ? ends * width : 0) + (options.hierarchical ? (ends + 2 * passing) * width : 0);
}

}  // namespace

double routed_experts_per_token(const MoeOptions& options) {
  const auto chosen = static_cast<double>(options.top_k);
  if (options.router.selection == Selection::kExpertChoice) return chosen * options.capacity.factor;
  if (options.router.zero_experts == 0) return chosen;
  if (options.balancer.routed_per_token > 0.0) return options.balancer.routed_per_token;
  return chosen * static_cast<double>(options.experts) / static_cast<double>(options.choices());
}

RoutedRows most_rows(const MoeOptions& options, std::int64_t hidden_size, std::int64_t tokens,
                     const DispatchGroup& group) {
  const bool by_experts = options.router.selection == Selection::kExpertChoice;
  const std::int64_t of_expert = by_experts ? expert_choice_size(options, tokens) : tokens;
  const std::int64_t experts = by_experts ? options.experts : options.top_k;
  RoutedRows rows{.sent = experts * of_expert,
                  .received = group.workers * std::min(experts, group.local_experts) * of_expert,
                  .segments = group.workers * group.local_experts,
                  .in_place = group.workers == 1};
  if (group.options.max_bytes > 0)
    rows.received = std::min(rows.received, rows_at_once(group, hidden_size, group.workers * of_expert));
  if (!rows.in_place)
    rows.exchange = exchange_elements(group.options, rows, group.workers * rows.sent, hidden_size);
  return rows;
}

RoutedRows even_rows(const MoeOptions& options, std::int64_t hidden_size, std::int64_t tokens,
                     const DispatchGroup& group) {
  const double sent = routed_experts_per_token(options) * static_cast<double>(tokens);
  const double of_expert = sent * static_cast<double>(group.workers) / static_cast<double>(options.experts);
  RoutedRows rows{.sent = std::llround(sent),
                  .received = std::llround(of_expert * static_cast<double>(group.local_experts)),
                  .segments = group.workers * group.local_experts,
                  .in_place = group.workers == 1};
  if (group.options.max_bytes > 0) {
    const std::int64_t at_once = rows_at_once(group, hidden_size, std::llround(of_expert));
    rows.kept = rows.received <= at_once;
    rows.received = std::min(rows.received, at_once);
  }
  if (!rows.in_place) rows.exchange = exchange_elements(group.options, rows, rows.sent, hidden_size);
  return rows;
}

}  // namespace troupe::experts
