#include "cli/run/start_layout.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "cli/arguments/this_process.h"
#include "cli/run/worker_hosts.h"
#include "coordinator/job/host_probe.h"
#include "coordinator/job/hostfile.h"
#include "coordinator/recovery/host_choice.h"

namespace troupe::cli {
namespace {

constexpr std::chrono::seconds kAnswerLimit{10};

/// Whether a command can be run on each. This machine always answers.
std::vector<bool> answers_of(const std::vector<coordinator::Host>& hosts, const configs::RunConfig& config) {
  const std::vector<std::string> asked = remote_hosts(config);
  const auto agent = coordinator::remote_agent(config.launch);
  const std::vector<bool> answers = coordinator::probe_hosts(asked, agent, kAnswerLimit);
  std::vector<bool> all;
  for (const coordinator::Host& host : hosts) {
    const auto found = std::ranges::find(asked, host.name);
    all.push_back(found == asked.end() || answers[at(found - asked.begin())]);
  }
  return all;
}

}  // namespace

StartLayout::StartLayout(configs::RunConfig asked)
    : asked_(std::move(asked)), hostfile_(asked_.launch.hostfile) {}

StartLayout::Room StartLayout::take_hosts(std::int64_t workers, const std::filesystem::path& file) {
  hostfile_ = asked_.launch.hostfile;
  if (remote_hosts(asked_).empty() || !hostfile_) return {.workers = workers, .left_out = {}};
  const auto hosts = coordinator::read_hostfile(*hostfile_);
  auto choice = coordinator::choose_hosts(hosts, answers_of(hosts, asked_),
                                          {.workers = workers,
                                           .min_workers = asked_.elastic.min_workers,
                                           .cores = available_cores(),
                                           .may_share_slots = may_oversubscribe(asked_),
                                           .most = [this](std::int64_t most) {
                                             const auto layout = at_most(most);
                                             return layout ? layout->workers : 0;
                                           }});
  if (choice.left_out.empty()) return {.workers = workers, .left_out = {}};
  write_file_atomically(file, coordinator::format_hostfile(choice.hosts));
  hostfile_ = file.string();
  return {.workers = choice.workers, .left_out = std::move(choice.left_out)};
}

configs::LayoutChoice StartLayout::of(std::int64_t workers) const {
  const auto layout = at_most(workers);
  TROUPE_CHECK(layout && layout->workers == workers, "{} workers cannot compute this run", workers);
  return *layout;
}

std::optional<configs::LayoutChoice> StartLayout::at_most(std::int64_t workers) const {
  const configs::LayoutChoice asked{*asked_.parallel.workers, *asked_.parallel.expert_parallel};
  return workers >= asked.workers ? asked : configs::smaller_layout(asked_, workers + 1);
}

}  // namespace troupe::cli
