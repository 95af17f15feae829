#include "coordinator/job/hostfile.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/network.h"

namespace troupe::coordinator {
namespace {

constexpr std::size_t kMaxHostfileBytes = std::size_t{16} << 20;

std::int64_t parse_count(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && end == text.data() + text.size() && count > 0 ? count : 0;
}

std::int64_t parse_slots(const std::string& words, const std::string& where) {
  constexpr std::string_view kSlots = "slots=";
  std::istringstream stream(words);
  for (std::string word; stream >> word;) {
    if (!word.starts_with(kSlots)) continue;
    const std::int64_t slots = parse_count(std::string_view(word).substr(kSlots.size()));
    if (slots > 0) return slots;
    throw Error(ErrorCode::kConfig, "{}: '{}' is not a number of slots of at least 1", where, word);
  }
  return 0;
}

std::string_view short_name(std::string_view host) { return host.substr(0, host.find('.')); }

}  // namespace

std::vector<Host> parse_hostfile(std::string_view text, const std::string& source) {
  std::vector<Host> hosts;
  std::istringstream stream{std::string(text)};
  std::int64_t number = 1;
  for (std::string line; std::getline(stream, line); ++number) {
    const std::string where = fmt::format("{}:{}", source, number);
    if (line.ends_with('\r')) {
      throw Error(
          ErrorCode::kConfig,
          "{}: the line ends as on Windows, so mpirun would not find the host; `sed -i 's/\\r$//' {}` "
          "mends the file",
          where, source);
    }
    std::istringstream words(line.substr(0, line.find('#')));
    Host host;
    if (!(words >> host.name)) continue;
    std::string rest;
    std::getline(words, rest);
    host.slots = parse_slots(rest, where);
    hosts.push_back(std::move(host));
  }
  if (hosts.empty()) throw Error(ErrorCode::kConfig, "{} names no host", source);
  return hosts;
}

std::vector<Host> read_hostfile(const std::filesystem::path& file) {
  std::string text;
  try {
    text = read_file(file, kMaxHostfileBytes);
  } catch (const Error& error) {
    throw Error(ErrorCode::kConfig, error.what());  // the user named it
  }
  return parse_hostfile(text, file.string());
}

std::int64_t total_slots(const std::vector<Host>& hosts, std::int64_t cores) {
  return std::accumulate(
      hosts.begin(), hosts.end(), std::int64_t{0},
      [&](std::int64_t sum, const Host& host) { return sum + (host.slots > 0 ? host.slots : cores); });
}

std::string format_hostfile(const std::vector<Host>& hosts) {
  std::string text;
  for (const Host& host : hosts)
    text += host.slots > 0 ? fmt::format("{} slots={}\n", host.name, host.slots) : host.name + "\n";
  return text;
}

bool is_remote(const Host& host) {
  if (is_loopback_address(host.name)) return false;
  if (is_ip_address(host.name)) return std::ranges::count(own_addresses(), host.name) == 0;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return true;
  constexpr std::array<std::string_view, 2> kHere{"localhost", "ip6-localhost"};
  return std::ranges::find(kHere, host.name) == kHere.end() &&
         short_name(host.name) != short_name(name.data());
}

}  // namespace troupe::coordinator
