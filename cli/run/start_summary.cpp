#include "cli/run/start_summary.h"

#include <fmt/format.h>

#include "base/counted.h"
#include "base/network.h"
#include "cli/arguments/this_process.h"
#include "cli/description/run_description.h"
#include "coordinator/job/control_address.h"

namespace troupe::cli {
namespace {

std::string steps_text(const StartedRun& run, std::int64_t tokens_per_step) {
  const std::int64_t steps = run.config.run.steps;
  if (run.start.is_beginning()) return fmt::format("{} of {} tokens", steps, tokens_per_step);
  return fmt::format("{} to {} of {} tokens, from {}", run.start.first_step(), steps, tokens_per_step,
                     run.start.source());
}

}  // namespace

SummaryLines start_summary(const StartedRun& run) {
  const configs::RunConfig& config = run.config;
  const RunDescription described = describe_run(config, run.vocab_size, available_cores());
  SummaryLines lines{
      {"model", fmt::format("{:.2f} M parameters, {:.2f} M active per token",
                            1e-6 * static_cast<double>(described.parameters.total),
                            1e-6 * static_cast<double>(described.parameters.active))},
      {"layout", fmt::format("{} x {} ({}), expert_parallel {}", counted(described.layout.workers, "worker"),
                             counted(config.parallel.threads, "thread"),
                             config.parallel.backend == layout::Backend::kMpi ? "mpi" : "inproc",
                             described.layout.expert_parallel)},
      {"batch", fmt::format("{} of {} tokens, {} at once", counted(config.batch.sequences, "sequence"),
                            config.data.sequence_length, config.batch.micro_batch)},
      {"binding", run.binding},
      {"steps", steps_text(run, described.tokens_per_step)},
      {"folder", run.folder},
  };
  if (!is_loopback_address(run.control)) {
    lines.emplace_back(
        "control", run.control == coordinator::kAllAddresses ? "every address of this host" : run.control);
  }
  if (config.init_from.branch) lines.emplace_back("branch", "of " + *config.init_from.checkpoint);
  if (run.start.checkpoint.empty() && config.init_from.checkpoint)
    lines.emplace_back("weights", "from " + *config.init_from.checkpoint);
  if (!run.page.empty()) lines.emplace_back("dashboard", run.page);
  return lines;
}

}  // namespace troupe::cli
