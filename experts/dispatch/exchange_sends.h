#pragma once
#include <cstdint>

#include "layout/options.h"

namespace troupe::experts {

/// What one rank of a group sends in one exchange of rows, and in one gathering of every rank's counts.
struct ExchangeSends {
  std::int64_t messages = 0;   // of either
  std::int64_t row_parts = 0;  // a part: the rows of one source for one destination; a part may go twice
  std::int64_t counts = 0;     // of one rank
};

/// A function of sizes. The hierarchical exchange counts as one where workers_per_node says what the nodes
/// are; without it, as the direct one.
[[nodiscard]] ExchangeSends exchange_sends(const layout::DispatchOptions& options, int ranks, int rank);

}  // namespace troupe::experts
