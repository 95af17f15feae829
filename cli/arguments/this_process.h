#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace troupe::cli {

/// Cores that this process may run on.
[[nodiscard]] int available_cores();
/// Cores of this machine, hardware threads of one counted once; 0 when this process may not run on all of
/// them, or the system does not say.
[[nodiscard]] int whole_cores();

/// [begin, end)
struct CoreBlock {
  int begin = 0;
  int end = 0;
};
/// Of one worker: about equal blocks that leave no core out, so that two runs on one machine, which begin at
/// the same core, use all of it.
[[nodiscard]] CoreBlock block_of(int worker, int workers, int cores);

/// Puts the calling thread, and those that it will start, on cores of its own: its block of the cores that it
/// may run on. Does nothing for a single worker, or when there are less than workers * threads cores. Without
/// it the kernel left both threads of two workers on the core that started them, with the other one idle.
/// False when nothing was done.
bool take_own_cores(int worker, int workers, int threads);

/// OpenMP's threads sleep while they wait for work instead of spinning on cores that others need. OpenMP
/// reads that from the environment before main() begins: unless it is said there, this program starts over,
/// once, with OMP_WAIT_POLICY=passive. Call before anything else is begun.
void let_openmp_sleep();

[[nodiscard]] bool runs_as_root();
/// As it was called, the program first.
[[nodiscard]] std::vector<std::string> command_line();
/// Absolute.
[[nodiscard]] std::string program_path();
/// The library that keeps mpirun's ports on loopback; empty when the program was copied without it.
[[nodiscard]] std::string loopback_library();
/// Of this MPI job; 1 without MPI.
[[nodiscard]] std::int64_t ranks_on_this_machine();
/// LD_PRELOAD.
[[nodiscard]] std::string preloaded_libraries();
/// Whether a batch system that mpirun knows gave this job its hosts.
[[nodiscard]] bool has_allocation();

}  // namespace troupe::cli
