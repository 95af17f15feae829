#pragma once
#include <string>
#include <vector>

namespace troupe::coordinator {

/// Every address of this machine.
inline constexpr const char* kAllAddresses = "0.0.0.0";

/// Where to listen for workers on `hosts`, which are other machines: this machine's address that the routes
/// to all of them begin at; every address where they begin at several, or a host's name is not known here.
[[nodiscard]] std::string control_address_for(const std::vector<std::string>& hosts);

}  // namespace troupe::coordinator
