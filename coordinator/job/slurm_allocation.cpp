#include "coordinator/job/slurm_allocation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace troupe::coordinator {
namespace {

constexpr std::size_t kMostHosts = 65536;
constexpr std::size_t kMostDigits = 9;

using Names = std::vector<std::string>;

/// At commas outside brackets; nothing where brackets do not match.
std::optional<Names> split(std::string_view list) {
  Names parts{""};
  bool inside = false;
  for (const char c : list) {
    if (c == (inside ? '[' : ']')) return std::nullopt;
    if (c == '[' || c == ']') inside = !inside;
    if (c == ',' && !inside) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return inside ? std::nullopt : std::optional(std::move(parts));
}

std::optional<std::int64_t> parse_number(std::string_view digits) {
  std::int64_t number = 0;
  if (digits.empty() || digits.size() > kMostDigits) return std::nullopt;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = error == std::errc() && end == digits.data() + digits.size() && digits.front() != '-';
  return whole ? std::optional(number) : std::nullopt;
}

/// "07-09" as "07", "08", "09": as wide as its first number is written.
bool append_range(std::string_view range, Names& numbers) {
  const std::size_t dash = range.find('-');
  const std::string_view low = range.substr(0, dash);
  const auto first = parse_number(low);
  const auto last = dash == std::string_view::npos ? first : parse_number(range.substr(dash + 1));
  if (!first || !last || *last < *first) return false;
  if (static_cast<std::size_t>(*last - *first) >= kMostHosts - numbers.size()) return false;
  for (std::int64_t number = *first; number <= *last; ++number)
    numbers.push_back(fmt::format("{:0{}}", number, low.size()));
  return true;
}

std::optional<Names> numbers_in(std::string_view brackets) {
  Names numbers;
  for (std::size_t begin = 0; begin <= brackets.size();) {
    const std::size_t end = std::min(brackets.find(',', begin), brackets.size());
    if (!append_range(brackets.substr(begin, end - begin), numbers)) return std::nullopt;
    begin = end + 1;
  }
  return numbers;
}

/// Every combination of the brackets of one name, the last running fastest.
bool append_hosts(std::string_view part, Names& hosts) {
  Names begun{""};
  while (!part.empty()) {
    const std::size_t open = part.find('[');
    for (std::string& name : begun) name += part.substr(0, open);
    if (open == std::string_view::npos) break;
    const std::size_t close = part.find(']', open);
    const auto numbers = numbers_in(part.substr(open + 1, close - open - 1));
    if (!numbers || begun.size() * numbers->size() > kMostHosts) return false;
    Names longer;
    for (const std::string& name : begun)
      for (const std::string& number : *numbers) longer.push_back(name + number);
    begun = std::move(longer);
    part.remove_prefix(close + 1);
  }
  if (begun.front().empty() || hosts.size() + begun.size() > kMostHosts) return false;
  std::ranges::move(begun, std::back_inserter(hosts));
  return true;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::optional<std::vector<std::string>> expand_node_list(std::string_view list) {
  const auto parts = split(list);
  if (!parts) return std::nullopt;
  Names hosts;
  for (const std::string& part : *parts)
    if (!append_hosts(part, hosts)) return std::nullopt;
  return hosts;
}

SlurmAllocation slurm_allocation() {
  return {.tasks = parse_number(variable("SLURM_NTASKS")).value_or(0),
          .hosts = expand_node_list(variable("SLURM_JOB_NODELIST")).value_or(Names{})};
}

}  // namespace troupe::coordinator
