// Loaded into mpirun (LD_PRELOAD) for a job on one machine: what would listen on every interface listens on
// loopback. Open MPI 4.1 can be told which interfaces it names to others, but its listener takes them all.
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace {

using Bind = int (*)(int, const sockaddr*, socklen_t);

int bind_really(int socket, const void* address, socklen_t size) {
  static const auto next = reinterpret_cast<Bind>(::dlsym(RTLD_NEXT, "bind"));
  return next(socket, static_cast<const sockaddr*>(address), size);
}

int bind_to_loopback(int socket, sockaddr_in address) {
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return bind_really(socket, &address, sizeof address);
}

/// ::1, or where IPv6 is off, 127.0.0.1 by its IPv6 name.
int bind_to_loopback(int socket, sockaddr_in6 address) {
  address.sin6_addr = in6addr_loopback;
  const int bound = bind_really(socket, &address, sizeof address);
  if (bound == 0 || errno != EADDRNOTAVAIL) return bound;
  const int off = 0;
  if (::setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) return -1;
  constexpr unsigned char kMapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 127, 0, 0, 1};
  std::memcpy(&address.sin6_addr, kMapped, sizeof kMapped);
  return bind_really(socket, &address, sizeof address);
}

}  // namespace

extern "C" int bind(int socket, const sockaddr* address, socklen_t size) {
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in copy{};
    std::memcpy(&copy, address, sizeof copy);
    if (copy.sin_addr.s_addr == htonl(INADDR_ANY)) return bind_to_loopback(socket, copy);
  }
  if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 copy{};
    std::memcpy(&copy, address, sizeof copy);
    if (IN6_IS_ADDR_UNSPECIFIED(&copy.sin6_addr)) return bind_to_loopback(socket, copy);
  }
  return bind_really(socket, address, size);
}
