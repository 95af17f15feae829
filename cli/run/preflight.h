#pragma once
#include <cstdint>
#include <vector>

#include "configs/rules.h"
#include "configs/run_config.h"

namespace troupe::cli {

/// What `train` would refuse of a configuration whose values are sound, because of the corpus: one that is
/// missing or damaged, sequences longer than its text, unknown domains, too small a vocabulary.
[[nodiscard]] std::vector<configs::RuleProblem> corpus_problems(const configs::RunConfig& config);

/// The same because of the page: a token file that cannot be used.
[[nodiscard]] std::vector<configs::RuleProblem> page_problems(const configs::RunConfig& config);

/// The same because of where it would run: hostfiles, slots, addresses. Not for runs that someone's own
/// mpirun starts.
[[nodiscard]] std::vector<configs::RuleProblem> launch_problems(const configs::RunConfig& config);

/// Cores that `parallel.workers: auto` may count on: as many workers as the hostfile or the batch system has
/// slots for, else this process' cores.
[[nodiscard]] std::int64_t usable_cores(const configs::RunConfig& config);

}  // namespace troupe::cli
