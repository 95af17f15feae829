#pragma once
#include <memory>
#include <vector>

#include "comm/collectives/communicator.h"

namespace troupe::comm {

/// Communicators between `size` threads of this process: element r belongs to the thread of rank r,
/// which must own it, because a communicator that is destroyed leaves its group. Peers that wait, or
/// come to wait, for a rank that left get kPeerLost with the rank and the operation; so a thread that
/// throws ends its peers' waiting instead of hanging them.
[[nodiscard]] std::vector<std::unique_ptr<Communicator>> make_inproc_group(int size);

}  // namespace troupe::comm
