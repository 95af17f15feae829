#include "cli/run/worker_hosts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/network.h"
#include "cli/arguments/this_process.h"
#include "coordinator/job/control_address.h"
#include "coordinator/job/hostfile.h"
#include "coordinator/job/job_command.h"
#include "coordinator/job/slurm_allocation.h"

namespace troupe::cli {
namespace {

std::vector<coordinator::Host> given_hosts(const configs::RunConfig& config) {
  if (config.launch.hostfile) return coordinator::read_hostfile(*config.launch.hostfile);
  std::vector<coordinator::Host> hosts;
  for (const std::string& name : coordinator::slurm_allocation().hosts) hosts.push_back({name, 0});
  return hosts;
}

/// Hosts that only mpirun knows.
bool has_unknown_hosts(const configs::RunConfig& config) {
  if (coordinator::names_hosts(config.launch.mpirun_args)) return true;
  return has_allocation() && !config.launch.hostfile && coordinator::slurm_allocation().hosts.empty();
}

}  // namespace

std::int64_t given_slots(const configs::RunConfig& config) {
  if (config.parallel.backend != layout::Backend::kMpi) return 0;
  if (config.launch.hostfile) return coordinator::total_slots(given_hosts(config), available_cores());
  return coordinator::slurm_allocation().tasks;
}

bool may_oversubscribe(const configs::RunConfig& config) {
  return std::ranges::any_of(config.launch.mpirun_args,
                             [](const std::string& argument) { return argument.ends_with("oversubscribe"); });
}

std::vector<std::string> remote_hosts(const configs::RunConfig& config) {
  if (config.parallel.backend != layout::Backend::kMpi) return {};
  std::vector<std::string> names;
  for (const coordinator::Host& host : given_hosts(config))
    if (coordinator::is_remote(host)) names.push_back(host.name);
  return names;
}

std::string control_address(const configs::RunConfig& config, bool workers_elsewhere) {
  if (config.control.address != comm::kAutomaticAddress) return config.control.address;
  if (config.parallel.backend != layout::Backend::kMpi) return "127.0.0.1";
  if (const auto hosts = remote_hosts(config); !hosts.empty()) return coordinator::control_address_for(hosts);
  return workers_elsewhere || has_unknown_hosts(config) ? coordinator::kAllAddresses : "127.0.0.1";
}

std::optional<configs::RuleProblem> unreachable_address(const configs::RunConfig& config) {
  const std::string& address = config.control.address;
  if (!is_loopback_address(address)) return std::nullopt;
  return configs::RuleProblem{
      "control.address",
      fmt::format("control.address: workers on other hosts cannot reach {}; give an address of this host "
                  "that they can reach, or auto, which finds it",
                  address)};
}

}  // namespace troupe::cli
