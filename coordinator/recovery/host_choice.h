#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "coordinator/job/hostfile.h"

namespace troupe::coordinator {

/// Where the workers of the next start go.
struct HostChoice {
  std::vector<Host> hosts;
  std::vector<std::string> left_out;
  std::int64_t workers = 0;
  bool operator==(const HostChoice&) const = default;
};

/// What a host choice goes by.
struct HostDemand {
  std::int64_t workers = 1;      // as many as there is room for, up to these
  std::int64_t min_workers = 1;  // elastic.min_workers
  std::int64_t cores = 1;        // stand for slots that are not said
  bool may_share_slots = false;  // mpirun was told --oversubscribe
  /// The most workers, up to these, that can compute the run; 0: none.
  std::function<std::int64_t(std::int64_t workers)> most;
};

/// Leaves out the hosts that do not answer, where the others have room for elastic.min_workers; else none,
/// since they may come back. answers: of each host. Pure.
[[nodiscard]] HostChoice choose_hosts(const std::vector<Host>& hosts, const std::vector<bool>& answers,
                                      const HostDemand& demand);

}  // namespace troupe::coordinator
