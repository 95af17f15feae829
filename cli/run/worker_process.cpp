#include "cli/run/worker_process.h"

#include <unistd.h>

#include <atomic>
#include <exception>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/fault_points.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/signals.h"
#include "cli/arguments/this_process.h"
#include "cli/run/device_choice.h"
#include "cli/run/initial_weights.h"
#include "cli/run/training_setup.h"
#include "cli/subcommands.h"
#include "comm/control/link/contact.h"
#include "comm/control/link/run_files.h"
#include "comm/control/tcp/tcp_client.h"
#include "tensor/parallel.h"
#include "workers/agent/worker_agent.h"
#include "workers/step/replica_check.h"
#include "workers/training_loop.h"

namespace troupe::cli {
namespace {

// The coordinator ends the job of a worker that failed, and says why; this is for one that does not.
constexpr Duration kVerdictLimit = std::chrono::seconds(10);

/// What the compute threads of this process share.
struct Process {
  workers::TrainingOptions options;
  workers::EventOptions events;
  workers::LoopStorage storage;
  layout::Layout layout;
  const configs::RunConfig& config;
  const workers::TrainingData& data;
  workers::StorageThread& storage_thread;
  workers::WorkerAgent& agent;
  const Clock& clock;
};

struct RankOutcome {
  comm::TrainingEnded ended;
  std::optional<Error> error;
};

/// The coordinator learns it at once: when this thread's communicator is gone, its peers fail for this
/// reason.
Error tell(workers::WorkerAgent& agent, std::int64_t rank, const Error& error, std::string_view code) {
  log::error("worker {}: {}", rank, error.what());
  agent.fail(rank, std::string(code), error.what());
  return error;
}

Error tell(workers::WorkerAgent& agent, std::int64_t rank, const Error& error) {
  return tell(agent, rank, error, to_string(error.code()));
}

RankOutcome train_watched(const Process& process, std::unique_ptr<comm::Communicator> world) {
  const int rank = world->rank();
  try {
    const auto accelerator = make_worker_device(process.config, *world);
    workers::TrainingLoop loop(process.options, process.events, process.storage, process.data, process.layout,
                               *world, process.storage_thread, process.agent, process.clock,
                               accelerator.get());
    return {.ended = loop.run(), .error = std::nullopt};
  } catch (const workers::ReplicaMismatch& error) {
    return {
        .ended = {.rank = rank},
        .error = tell(process.agent, rank, error, error.by_majority() ? comm::kDeviates : comm::kDisagrees)};
  } catch (const Error& error) {
    return {.ended = {.rank = rank}, .error = tell(process.agent, rank, error)};
  } catch (const std::exception& error) {
    return {.ended = {.rank = rank},
            .error = tell(process.agent, rank, Error(ErrorCode::kInternal, std::string(error.what())))};
  }
}

RankOutcome train_rank(const Process& process, std::unique_ptr<comm::Communicator> world) {
  use_one_library_thread();
  progress::Word word;
  word.rank = world->rank();
  progress::of_this_thread = &word;
  const std::shared_ptr<void> watched = process.agent.watch(word);
  RankOutcome outcome = train_watched(process, std::move(world));
  progress::of_this_thread = nullptr;
  return outcome;
}

std::vector<RankOutcome> train_ranks(const Process& process,
                                     std::vector<std::unique_ptr<comm::Communicator>> ranks) {
  std::vector<RankOutcome> outcomes(ranks.size());
  if (ranks.size() == 1) {  // MPI is called by the main thread only
    outcomes[0] = train_rank(process, std::move(ranks[0]));
    return outcomes;
  }
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    threads.emplace_back([&process, &outcome = outcomes[i], world = std::move(ranks[i])]() mutable {
      take_own_cores(world->rank(), world->size(), process.options.threads);
      outcome = train_rank(process, std::move(world));
    });
  }
  threads.clear();  // joins
  return outcomes;
}

int finish(workers::WorkerAgent& agent, const std::vector<RankOutcome>& outcomes) {
  std::vector<comm::TrainingEnded> ended;
  for (const RankOutcome& outcome : outcomes) {
    if (outcome.error) return kFailure;
    ended.push_back(outcome.ended);
  }
  agent.finish(ended);
  return kSuccess;
}

[[noreturn]] void end_without_coordinator(const std::string& reason) {
  log::error("the coordinator is lost ({}); this worker ends", reason);
  ::_exit(kFailure);  // the compute thread may be stuck in a collective
}

/// The start of workers that this process belongs to.
struct JobIdentity {
  comm::Epoch epoch;
  std::string token;
};

int train(const std::filesystem::path& run_folder, const configs::RunConfig& config,
          workers::WorkerAgent& agent, const JobIdentity& job,
          std::vector<std::unique_ptr<comm::Communicator>> ranks) {
  const std::int64_t world_size = ranks.front()->size();
  const std::int64_t first_rank = ranks.front()->rank();
  comm::JoinRequested identity =
      workers::identify(run_folder, first_rank, std::ssize(ranks), world_size, numerics_identity(config));
  identity.job = job.token;
  fault_points::reach("begin", first_rank, job.epoch);
  const comm::StartTraining start = agent.join(identity);
  const SystemClock clock;
  workers::StorageThread storage_thread;
  const CorpusFacts corpus = [&] {
    CorpusFacts facts;
    storage_thread.run([&] { facts = read_corpus_facts(config); });
    return facts;
  }();
  const workers::TrainingOptions options = training_options(config, corpus.vocab_size);
  std::optional<workers::TrainingData> data;
  storage_thread.run([&] { data.emplace(config.data.corpus, options); });
  std::optional<workers::InitialWeights> weights;
  if (start.checkpoint.empty() && start.snapshot.empty())
    storage_thread.run([&] { weights = initial_weights(config); });
  const auto workers = static_cast<int>(world_size);
  const Process process{
      .options = options,
      .events = event_options(config),
      .storage = {.checkpoints = run_folder / "checkpoints",
                  .load = start.checkpoint,
                  .data_cursor = start.data_cursor,
                  .epoch = job.epoch,
                  .snapshots = start.snapshots,
                  .snapshot = start.snapshot,
                  .snapshot_step = start.snapshot_step,
                  .weights = std::move(weights),
                  .routing = routing_folders(config, run_folder)},
      .layout = {options.batch, workers, static_cast<int>(config.parallel.expert_parallel.value_or(workers)),
                 static_cast<int>(config.model.moe.experts)},
      .config = config,
      .data = *data,
      .storage_thread = storage_thread,
      .agent = agent,
      .clock = clock};
  return finish(agent, train_ranks(process, std::move(ranks)));
}

}  // namespace

int run_worker_process(const std::filesystem::path& run_folder, const configs::RunConfig& config,
                       std::vector<std::unique_ptr<comm::Communicator>> ranks, const std::string& job) {
  const SystemClock clock;
  const comm::Contact contact = comm::read_contact(run_folder / comm::kContactFile);
  comm::TcpControlClient client(contact, config.control, clock);
  std::atomic<bool> failed = false;
  workers::AgentOptions agent_options;
  agent_options.on_coordinator_lost = [&failed](const std::string& reason) {
    if (!failed) end_without_coordinator(reason);
  };
  workers::WorkerAgent agent(client, agent_options);
  signals::outlast_stop_signals();
  const signals::Listener stop(signals::kStopSignals, [&agent](int /*signal*/) { agent.request_stop(); });
  const int first_rank = ranks.front()->rank();
  int code = kFailure;
  try {
    code = train(run_folder, config, agent, {contact.epoch, job}, std::move(ranks));
  } catch (const Error& error) {
    static_cast<void>(tell(agent, first_rank, error));
  }
  if (code != kSuccess) {
    failed = true;
    agent.wait_until_lost(kVerdictLimit);
  }
  return code;
}

}  // namespace troupe::cli
