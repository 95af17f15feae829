#pragma once
#include <vector>

#include "comm/collectives/communicator.h"

namespace troupe::experts {

/// The workers that hold all experts between them, one copy of each. Rank in the communicator =
/// position in the group; ascending ranks compute ascending lanes of a wave.
struct ExpertGroup {
  comm::Communicator& communicator;
  std::vector<int> expert_begin;  // [size + 1]: rank p holds the experts [begin[p], begin[p + 1])

  [[nodiscard]] int size() const { return communicator.size(); }
  [[nodiscard]] int first_expert() const {
    return expert_begin[static_cast<std::size_t>(communicator.rank())];
  }
  [[nodiscard]] int local_experts() const {
    return expert_begin[static_cast<std::size_t>(communicator.rank()) + 1] - first_expert();
  }
};

}  // namespace troupe::experts
