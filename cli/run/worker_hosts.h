#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "configs/rules.h"
#include "configs/run_config.h"

namespace troupe::cli {

/// Workers that there is room for on the hosts that were given, by a hostfile or Slurm; 0: on this machine,
/// as many as one likes. Throws kConfig for a hostfile that is none.
[[nodiscard]] std::int64_t given_slots(const configs::RunConfig& config);

/// Whether mpirun may start more workers than the hosts have slots.
[[nodiscard]] bool may_oversubscribe(const configs::RunConfig& config);

/// Other machines that workers run on, as far as a hostfile or Slurm says. Throws as above.
[[nodiscard]] std::vector<std::string> remote_hosts(const configs::RunConfig& config);

/// Where the coordinator listens: control.address, or what `auto` means for these hosts.
///   workers_elsewhere: some are on other machines, whoever they are
[[nodiscard]] std::string control_address(const configs::RunConfig& config, bool workers_elsewhere);

/// A control.address that workers on other machines cannot reach.
[[nodiscard]] std::optional<configs::RuleProblem> unreachable_address(const configs::RunConfig& config);

}  // namespace troupe::cli
