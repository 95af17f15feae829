#include "cli/arguments/this_process.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

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

CoreBlock block_of(int worker, int workers, int cores) {
  return {.begin = worker * cores / workers, .end = (worker + 1) * cores / workers};
}

bool take_own_cores(int worker, int workers, int threads) {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  if (workers <= 1 || ::sched_getaffinity(0, sizeof(mine), &mine) != 0) return false;
  if (CPU_COUNT(&mine) < workers * threads) return false;
  const CoreBlock block = block_of(worker, workers, CPU_COUNT(&mine));
  cpu_set_t own;
  CPU_ZERO(&own);
  int seen = 0;  // of the cores that it may run on
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &mine)) continue;
    if (seen >= block.begin && seen < block.end) CPU_SET(core, &own);
    ++seen;
  }
  return ::sched_setaffinity(0, sizeof(own), &own) == 0;
}

void let_openmp_sleep() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  std::vector<std::string> arguments = command_line();
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  if (arguments.empty() || ::setenv("OMP_WAIT_POLICY", "passive", 1) != 0) return;
  ::execv(program_path().c_str(), pointers.data());  // when it fails, this goes on, only slower
}

std::vector<std::string> command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

bool runs_as_root() { return ::geteuid() == 0; }

std::string program_path() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

std::string loopback_library() {
  const auto prefix = std::filesystem::path(program_path()).parent_path().parent_path();
  const auto library = prefix / "lib/troupe/troupe_loopback.so";
  return std::filesystem::exists(library) ? library.string() : std::string();
}

std::int64_t ranks_on_this_machine() {
  const char* const ranks = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
  return ranks == nullptr ? 1 : std::max<std::int64_t>(1, std::atoll(ranks));
}

std::string preloaded_libraries() {
  const char* const libraries = std::getenv("LD_PRELOAD");
  return libraries == nullptr ? "" : libraries;
}

bool has_allocation() {
  constexpr std::array kVariables{"SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "PE_HOSTFILE", "COBALT_JOBID"};
  return std::ranges::any_of(kVariables, [](const char* name) { return std::getenv(name) != nullptr; });
}

}  // namespace troupe::cli
