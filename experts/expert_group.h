#pragma once
#include <span>

#include "comm/collectives/communicator.h"
#include "layout/options.h"
#include "layout/placement.h"

namespace troupe::experts {

/// The workers that hold all experts of one layer between them, one copy of each. Rank in the
/// communicator = position in the group; ascending ranks compute ascending lanes of a wave.
struct ExpertGroup {
  comm::Communicator& communicator;
  layout::LayerPlacement placement;  // of `size()` positions
  layout::DispatchOptions dispatch = {};

  [[nodiscard]] int size() const { return communicator.size(); }
  /// Experts that a rank holds, ascending: local expert i is the i-th.
  [[nodiscard]] std::span<const int> experts_of(int rank) const { return placement.experts_at(rank); }
  [[nodiscard]] std::span<const int> local() const { return experts_of(communicator.rank()); }
  [[nodiscard]] int local_experts() const { return static_cast<int>(local().size()); }
};

/// The same workers for every layer with experts of a model.
struct ModelExpertGroup {
  comm::Communicator& communicator;
  layout::Placement placement;  // [MoE layers]
  layout::DispatchOptions dispatch = {};

  [[nodiscard]] ExpertGroup layer(std::size_t moe_index) const {
    return {communicator, placement.at(moe_index), dispatch};
  }
};

}  // namespace troupe::experts
