#include "base/network.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/error.h"
#include "base/file.h"

namespace troupe {
namespace {

std::optional<in_addr> parse_v4(const std::string& text) {
  in_addr parsed{};
  return ::inet_pton(AF_INET, text.c_str(), &parsed) == 1 ? std::optional(parsed) : std::nullopt;
}

std::optional<in6_addr> parse_v6(const std::string& text) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET6, text.c_str(), &parsed) == 1 ? std::optional(parsed) : std::nullopt;
}

/// Empty for what is neither IPv4 nor IPv6, and for what means nothing without an interface.
std::string text_of(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address == nullptr) return {};
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size()) == nullptr ? "" : text.data();
  }
  if (address->sa_family != AF_INET6) return {};
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
  if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) return {};
  return ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size()) == nullptr ? "" : text.data();
}

/// A datagram socket that is connected has its own address, though nothing was sent.
std::optional<std::string> source_towards(const addrinfo& target) {
  const FileDescriptor socket(::socket(target.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid() || ::connect(socket.get(), target.ai_addr, target.ai_addrlen) != 0) return std::nullopt;
  sockaddr_storage own{};
  socklen_t size = sizeof(own);
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) return std::nullopt;
  std::string text = text_of(reinterpret_cast<const sockaddr*>(&own));
  return text.empty() ? std::nullopt : std::optional(std::move(text));
}

}  // namespace

bool is_ip_address(const std::string& text) { return parse_v4(text) || parse_v6(text); }

bool is_loopback_address(const std::string& text) {
  if (const auto v4 = parse_v4(text)) return (ntohl(v4->s_addr) >> 24) == 127;
  const auto v6 = parse_v6(text);
  return v6 && IN6_IS_ADDR_LOOPBACK(&*v6);
}

std::vector<std::string> own_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) throw io_error("cannot list this machine's network addresses");
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owned(list, ::freeifaddrs);
  std::vector<std::string> found;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    std::string text = (entry->ifa_flags & IFF_UP) != 0 ? text_of(entry->ifa_addr) : "";
    if (!text.empty()) found.push_back(std::move(text));
  }
  if (!std::ranges::all_of(found, is_loopback_address)) std::erase_if(found, is_loopback_address);
  return found;
}

std::optional<std::string> address_towards(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  constexpr const char* kAnyPort = "9";
  if (::getaddrinfo(host.c_str(), kAnyPort, &hints, &list) != 0) return std::nullopt;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(list, ::freeaddrinfo);
  for (const addrinfo* target = list; target != nullptr; target = target->ai_next)
    if (auto source = source_towards(*target)) return source;
  return std::nullopt;
}

}  // namespace troupe
