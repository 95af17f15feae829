#include "coordinator/job/out_of_memory.h"

#include <fmt/format.h>

#include <fstream>
#include <utility>

namespace troupe::coordinator {

OutOfMemoryWatch::OutOfMemoryWatch(std::filesystem::path vmstat)
    : vmstat_(std::move(vmstat)), kills_at_start_(kills()) {}

std::string OutOfMemoryWatch::remark() const {
  if (kills() <= kills_at_start_) return {};
  return fmt::format(
      "; the kernel killed a process of this machine because memory ran out (`dmesg` names it): {}",
      kLessMemory);
}

/// 0 where the system does not say.
std::int64_t OutOfMemoryWatch::kills() const {
  std::ifstream words(vmstat_);
  std::int64_t number = 0;
  for (std::string word; words >> word;) {
    if (word == "oom_kill" && words >> number) return number;
  }
  return 0;
}

}  // namespace troupe::coordinator
