#pragma once
#include <cstdint>

namespace troupe::coordinator {

/// Makes room for the links of so many workers beside the files that a coordinator has open anyway: raises
/// this process's limit (RLIMIT_NOFILE) as far as needed, and inherits that to its children. Throws kConfig
/// when the system does not allow so many, before workers wait for a link in vain.
void make_room_for_links(std::int64_t workers);

}  // namespace troupe::coordinator
