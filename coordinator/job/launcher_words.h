#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace troupe::coordinator {

/// The hosts whose daemon (orted) mpirun says that it lost, in its own words, each once: "Remote daemon:
/// [[691,0],1] on node gpu7". Workers there, and on all other hosts, end because of that.
[[nodiscard]] std::vector<std::string> hosts_of_lost_daemons(std::string_view printed);

}  // namespace troupe::coordinator
