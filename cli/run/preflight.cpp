#include "cli/run/preflight.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "cli/arguments/this_process.h"
#include "cli/run/device_choice.h"
#include "cli/run/training_setup.h"
#include "cli/run/worker_hosts.h"
#include "dashboard/access.h"
#include "data/batch_order.h"
#include "data/evaluation_order.h"
#include "data/preferences/pair_order.h"
#include "tensor/device/make_accelerator.h"
#include "workers/training_data.h"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;
using configs::RuleProblem;

/// Runs a check that throws; what it refuses is a problem of `key`.
template <class Check>
bool holds(std::vector<RuleProblem>& problems, const std::string& key, Check check) {
  try {
    check();
    return true;
  } catch (const Error& error) {
    problems.push_back({key, error.what()});
    return false;
  }
}

void check_slots(const configs::RunConfig& config, std::vector<RuleProblem>& problems) {
  const std::int64_t slots = given_slots(config);
  const std::int64_t workers = config.parallel.workers.value_or(1);
  if (slots == 0 || workers <= slots || may_oversubscribe(config)) return;
  problems.push_back(
      {"parallel.workers",
       fmt::format("parallel.workers = {} exceeds the {} slots of {}: give hosts more slots, or add "
                   "--oversubscribe to launch.mpirun_args",
                   workers, slots, config.launch.hostfile.value_or("the Slurm allocation"))});
}

}  // namespace

std::vector<RuleProblem> corpus_problems(const configs::RunConfig& config) {
  std::vector<RuleProblem> problems;
  const fs::path folder = config.data.corpus;
  const std::int64_t length = config.data.sequence_length;
  holds(problems, "data.corpus", [&] {
    const data::TokenDataset train(folder / data::kTrainFile);
    const data::TokenDataset heldout(folder / data::kHeldoutFile);
    data::check_same_corpus(train, heldout);
    holds(problems, "model.vocab_size", [&] { (void)read_corpus_facts(config); });
    const bool fits =
        holds(problems, "objective.kind", [&] { workers::require_kind(train, config.model.objective); });
    if (!fits) return;
    if (config.model.objective.compares()) {
      holds(problems, "data.sequence_length", [&] {
        for (const data::TokenDataset* dataset : {&train, &heldout}) {
          const data::PairOrder order(*dataset, length, 0);
        }
      });
      return;
    }
    const bool long_enough = holds(problems, "data.sequence_length", [&] {
      const data::BatchOrder order(train, length, static_cast<std::uint64_t>(config.run.seed), {});
      const data::EvaluationOrder evaluation(heldout, length, 1);
    });
    if (!long_enough) return;
    holds(problems, "data.domains", [&] {
      const data::BatchOrder order(train, length, static_cast<std::uint64_t>(config.run.seed),
                                   config.data.domains);
      order.require_reach(config.run.steps * config.batch.sequences);
    });
  });
  return problems;
}

std::vector<RuleProblem> page_problems(const configs::RunConfig& config) {
  std::vector<RuleProblem> problems;
  const auto& file = config.dashboard.token_file;
  if (config.dashboard.enabled && file && fs::exists(*file))
    holds(problems, "dashboard.token_file", [&] { (void)dashboard::read_or_make_token(*file); });
  return problems;
}

std::vector<RuleProblem> launch_problems(const configs::RunConfig& config) {
  std::vector<RuleProblem> problems;
  if (config.parallel.device == DeviceKind::kCuda)
    holds(problems, "parallel.device",
          [&] { device::require_accelerator(!remote_hosts(config).empty(), dense_products(config)); });
  holds(problems, "launch.hostfile", [&] {
    check_slots(config, problems);
    if (remote_hosts(config).empty()) return;
    if (auto problem = unreachable_address(config)) problems.push_back(std::move(*problem));
  });
  return problems;
}

std::int64_t usable_cores(const configs::RunConfig& config) {
  const std::int64_t slots = given_slots(config);
  return slots > 0 ? slots * config.parallel.threads : available_cores();
}

}  // namespace troupe::cli
