#include "cli/run/memory_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>

#include "base/error.h"
#include "cli/terminal/terminal_text.h"
#include "coordinator/job/out_of_memory.h"

namespace troupe::cli {
namespace {

constexpr std::int64_t kEndless = std::numeric_limits<std::int64_t>::max();

/// The number after `name`; nothing when there is none.
std::optional<std::int64_t> number_after(const std::filesystem::path& file, const std::string& name) {
  std::ifstream words(file);
  for (std::string word; words >> word;) {
    if (std::int64_t number = 0; word == name && words >> number) return number;
  }
  return std::nullopt;
}

/// The content of a file that is one number; not of one that says "max".
std::optional<std::int64_t> number_in(const std::filesystem::path& file) {
  std::ifstream words(file);
  if (std::int64_t number = 0; words >> number) return number;
  return std::nullopt;
}

/// Of the control group of this process: version 2, whose line in /proc/self/cgroup begins with "0::", or 1.
std::int64_t group_limit(const std::filesystem::path& root) {
  const std::filesystem::path groups = root / "sys/fs/cgroup";
  std::int64_t limit = kEndless;
  std::ifstream lines(root / "proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    const std::string group = line.substr(line.rfind(':') + 1);
    const bool is_memory = line.find(":memory:") != std::string::npos;
    const std::filesystem::path folder = is_memory ? groups / "memory" : groups;
    if (!is_memory && !line.starts_with("0::")) continue;
    const char* const file = is_memory ? "memory.limit_in_bytes" : "memory.max";
    // A group above may have the limit, as a batch job's has over its steps'. In a container the path is the
    // host's, and its own group is the root.
    std::filesystem::path place = folder / group.substr(std::min<std::size_t>(1, group.size()));
    for (;; place = place.parent_path()) {
      limit = std::min(limit, number_in(place / file).value_or(kEndless));
      if (place == folder) break;
    }
  }
  return limit;
}

std::string shares(const workers::TrainingMemory& worker, std::int64_t workers) {
  return fmt::format(
      "{} workers of about {} each (parameters {}, gradients {}, optimizer {}, activations {})", workers,
      bytes_text(worker.total()), bytes_text(worker.parameters), bytes_text(worker.gradient_lanes),
      bytes_text(worker.optimizer_state), bytes_text(worker.activations));
}

}  // namespace

MachineMemory machine_memory(const std::filesystem::path& root) {
  constexpr std::int64_t kUnit = 1024;
  const std::filesystem::path info = root / "proc/meminfo";
  const auto total = number_after(info, "MemTotal:");
  const auto available = number_after(info, "MemAvailable:");
  const std::int64_t limit = group_limit(root);
  if (!total || !available) return {limit, limit};
  const std::int64_t swap = kUnit * number_after(info, "SwapTotal:").value_or(0);
  return {std::min(limit, kUnit * *total + swap), std::min(limit, kUnit * *available)};
}

std::string check_memory(const workers::TrainingMemory& worker, std::int64_t workers,
                         const MachineMemory& machine) {
  const std::int64_t state = workers * (worker.parameters + worker.gradient_lanes + worker.optimizer_state);
  const std::int64_t needed = workers * worker.total();
  if (needed <= machine.available) return {};
  if (state > machine.total) {
    throw Error(ErrorCode::kConfig, "this machine has {} of memory, but the run needs {}: {}; {}",
                bytes_text(machine.total), bytes_text(needed), shares(worker, workers),
                coordinator::kLessMemory);
  }
  return fmt::format("the run needs about {} of memory and {} are free, so the kernel may kill it: {}; {}",
                     bytes_text(needed), bytes_text(machine.available), shares(worker, workers),
                     coordinator::kLessMemory);
}

}  // namespace troupe::cli
