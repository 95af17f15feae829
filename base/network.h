#pragma once
#include <optional>
#include <string>
#include <vector>

namespace troupe {

/// Whether a text is an address of IPv4 or IPv6.
[[nodiscard]] bool is_ip_address(const std::string& text);
/// 127.x.y.z, ::1
[[nodiscard]] bool is_loopback_address(const std::string& text);

/// At which others may reach this machine: of every interface that is up, without those that need the
/// interface's name beside them (fe80::…). Loopback ones only where there are no others. Throws kIo when the
/// system does not say.
[[nodiscard]] std::vector<std::string> own_addresses();

/// This machine's address at the beginning of the route to `host`, a name or an address. Nothing where the
/// name is not known here, or no route leads there. Sends nothing to the host.
[[nodiscard]] std::optional<std::string> address_towards(const std::string& host);

}  // namespace troupe
