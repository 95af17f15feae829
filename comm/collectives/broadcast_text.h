#pragma once
#include <string>
#include <string_view>

#include "comm/collectives/communicator.h"

namespace troupe::comm {

/// Root's text, on every rank; `text` of the others is ignored. For what all ranks must know at
/// start-up. Collective. Throws kInternal above 64 MiB.
[[nodiscard]] std::string broadcast_text(Communicator& communicator, std::string_view text, int root);

}  // namespace troupe::comm
