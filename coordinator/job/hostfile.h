#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::coordinator {

/// A line of mpirun's hostfile: "node7 slots=8".
struct Host {
  std::string name;
  std::int64_t slots = 0;  // 0: not said; mpirun takes the host's cores
  bool operator==(const Host&) const = default;
};

/// Hosts in the order of the file; `source` names it in messages. Throws kConfig for a text without hosts,
/// with line ends of Windows (mpirun would look for a host called "node7\r") or with slots that are no
/// number.
[[nodiscard]] std::vector<Host> parse_hostfile(std::string_view text, const std::string& source);
/// Throws kConfig also when the file cannot be read.
[[nodiscard]] std::vector<Host> read_hostfile(const std::filesystem::path& file);

/// Workers that mpirun starts on them; `cores` stands for slots that are not said.
[[nodiscard]] std::int64_t total_slots(const std::vector<Host>& hosts, std::int64_t cores);

/// The same as text for mpirun.
[[nodiscard]] std::string format_hostfile(const std::vector<Host>& hosts);

/// Whether a host is another machine than this one, as far as its name or its address tells.
[[nodiscard]] bool is_remote(const Host& host);

}  // namespace troupe::coordinator
