#include "cli/this_process.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

namespace troupe::cli {

int available_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (::sched_getaffinity(0, sizeof(cores), &cores) == 0) return CPU_COUNT(&cores);
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));  // a machine of > 1024 cores
}

int whole_cores() {
  const long all = ::sysconf(_SC_NPROCESSORS_ONLN);
  if (available_cores() != all) return 0;
  std::set<std::string> cores;  // each named by its hardware threads: "0,64"
  for (long number = 0; number < ::sysconf(_SC_NPROCESSORS_CONF); ++number) {
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(number) +
                       "/topology/thread_siblings_list");
    if (std::string threads; std::getline(file, threads)) cores.insert(threads);  // an offline one has none
  }
  return static_cast<int>(cores.size());
}

bool runs_as_root() { return ::geteuid() == 0; }

std::string program_path() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

}  // namespace troupe::cli
