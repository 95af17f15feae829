#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::coordinator {

/// What Slurm gave to this job.
struct SlurmAllocation {
  std::int64_t tasks = 0;  // 0: not said
  std::vector<std::string> hosts;
};

/// From the environment (SLURM_NTASKS, SLURM_JOB_NODELIST); nothing outside a job of several nodes or tasks.
/// A list that is not understood has no hosts.
[[nodiscard]] SlurmAllocation slurm_allocation();

/// The hosts of a list in Slurm's notation, "gpu[01-03,7],login": as `scontrol show hostnames` says them.
/// Nothing for what is no such list, or more than 65536 hosts.
[[nodiscard]] std::optional<std::vector<std::string>> expand_node_list(std::string_view list);

}  // namespace troupe::coordinator
