#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "comm/control/messages/messages.h"

namespace troupe::comm {

/// What coordinator and workers of one run share, and nobody else has.
using Secret = std::array<std::byte, 32>;

/// From the operating system's generator; throws kIo when that fails.
[[nodiscard]] Secret make_secret();
/// The same in hexadecimal digits.
[[nodiscard]] std::string make_token();

/// How a worker finds and convinces its coordinator: `contact.json` in the run folder. Never goes on a
/// command line.
struct Contact {
  std::vector<std::string> addresses;  // to be tried in this order; at least one
  std::uint16_t port = 0;
  Secret secret{};
  Epoch epoch = 0;
  bool operator==(const Contact&) const = default;
};

/// Replaces the file as one; only its owner may read it.
void write_contact(const std::filesystem::path& path, const Contact& contact);

/// Throws kCorrupt for anything but a complete contact, kConfig when others than the owner may read it.
[[nodiscard]] Contact read_contact(const std::filesystem::path& path);

}  // namespace troupe::comm
