#include "coordinator/job/control_address.h"

#include "base/network.h"

namespace troupe::coordinator {

std::string control_address_for(const std::vector<std::string>& hosts) {
  std::string common;
  for (const std::string& host : hosts) {
    const auto own = address_towards(host);
    // A name that leads to loopback is this machine's, or a mistake in /etc/hosts: it says nothing.
    if (!own || is_loopback_address(*own) || (!common.empty() && *own != common)) return kAllAddresses;
    common = *own;
  }
  return common.empty() ? kAllAddresses : common;
}

}  // namespace troupe::coordinator
