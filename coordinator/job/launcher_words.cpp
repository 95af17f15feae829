#include "coordinator/job/launcher_words.h"

#include <algorithm>
#include <sstream>

namespace troupe::coordinator {

std::vector<std::string> hosts_of_lost_daemons(std::string_view printed) {
  constexpr std::string_view kDaemon = "Remote daemon:";
  constexpr std::string_view kNode = " on node ";
  std::vector<std::string> hosts;
  std::istringstream lines{std::string(printed)};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t node = line.find(kNode);
    if (line.find(kDaemon) == std::string::npos || node == std::string::npos) continue;
    std::string host = line.substr(node + kNode.size());
    if (std::ranges::find(hosts, host) == hosts.end()) hosts.push_back(std::move(host));
  }
  return hosts;
}

}  // namespace troupe::coordinator
