#include "coordinator/recovery/host_choice.h"

#include <algorithm>

namespace troupe::coordinator {

HostChoice choose_hosts(const std::vector<Host>& hosts, const std::vector<bool>& answers,
                        const HostDemand& demand) {
  HostChoice choice;
  for (std::size_t host = 0; host < hosts.size(); ++host) {
    if (answers[host]) {
      choice.hosts.push_back(hosts[host]);
    } else {
      choice.left_out.push_back(hosts[host].name);
    }
  }
  if (!choice.left_out.empty() && !choice.hosts.empty()) {
    const std::int64_t slots = total_slots(choice.hosts, demand.cores);
    choice.workers = demand.most(demand.may_share_slots ? demand.workers : std::min(demand.workers, slots));
    if (choice.workers >= demand.min_workers) return choice;
  }
  return {hosts, {}, demand.workers};
}

}  // namespace troupe::coordinator
