#pragma once
#include <functional>
#include <string_view>

#include "comm/collectives/communicator.h"

namespace troupe::comm::testing {

/// Says what this rank is doing, for the watchdog.
void now_in(std::string_view operation);

/// Calls body on every rank of groups of the sizes that this backend can make, at the same time.
/// Linked once per backend: the property suite is the same source for all of them.
void on_every_group(const std::function<void(Communicator&)>& body);

}  // namespace troupe::comm::testing
