#include "cli/worker_process.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <exception>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "cli/initial_weights.h"
#include "cli/subcommands.h"
#include "cli/this_process.h"
#include "cli/training_setup.h"
#include "comm/control/link/contact.h"
#include "comm/control/link/run_files.h"
#include "comm/control/tcp/tcp_client.h"
#include "tensor/ops/numerics_fingerprint.h"
#include "tensor/parallel.h"
#include "workers/agent/worker_agent.h"
#include "workers/training_loop.h"

namespace troupe::cli {
namespace {

// The agent that a signal asks to stop; null outside of training.
std::atomic<workers::WorkerAgent*> stoppable_agent{nullptr};

void on_stop_signal(int /*signal*/) {
  if (auto* agent = stoppable_agent.load()) agent->request_stop();
}

/// SIGUSR1 and SIGTERM ask the run to save and stop while this lives.
class StopSignals {
 public:
  explicit StopSignals(workers::WorkerAgent& agent) {
    stoppable_agent = &agent;
    struct sigaction action {};
    action.sa_handler = on_stop_signal;
    action.sa_flags = SA_RESTART;
    for (const int signal : {SIGUSR1, SIGTERM}) {
      if (::sigaction(signal, &action, nullptr) != 0) throw io_error("sigaction");
    }
  }
  ~StopSignals() { stoppable_agent = nullptr; }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
};

/// What the compute threads of this process share.
struct Process {
  workers::TrainingOptions options;
  workers::EventOptions events;
  workers::LoopStorage storage;
  layout::Layout layout;
  const workers::TrainingData& data;
  workers::StorageThread& storage_thread;
  workers::WorkerAgent& agent;
  const Clock& clock;
};

struct RankOutcome {
  comm::TrainingEnded ended;
  std::optional<Error> error;
};

RankOutcome train_rank(const Process& process, std::unique_ptr<comm::Communicator> world) {
  use_one_library_thread();
  const int rank = world->rank();
  try {
    workers::TrainingLoop loop(process.options, process.events, process.storage, process.data, process.layout,
                               *world, process.storage_thread, process.agent, process.clock);
    return {.ended = loop.run(), .error = std::nullopt};
  } catch (const Error& error) {
    // Told at once: when this thread's communicator is gone, its peers fail for this reason.
    process.agent.fail(rank, std::string(to_string(error.code())), error.what());
    return {.ended = {.rank = rank}, .error = error};
  } catch (const std::exception& error) {
    process.agent.fail(rank, std::string(to_string(ErrorCode::kInternal)), error.what());
    return {.ended = {.rank = rank}, .error = Error(ErrorCode::kInternal, std::string(error.what()))};
  }
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
    if (outcome.error) {
      log::error("worker {}: {}", outcome.ended.rank, outcome.error->what());
      return kFailure;
    }
    ended.push_back(outcome.ended);
  }
  agent.finish(ended);
  return kSuccess;
}

[[noreturn]] void end_without_coordinator(const std::string& reason) {
  log::error("the coordinator is lost ({}); this worker ends", reason);
  ::_exit(kFailure);  // the compute thread may be stuck in a collective
}

int train(const std::filesystem::path& run_folder, const configs::RunConfig& config,
          workers::WorkerAgent& agent, comm::Epoch epoch,
          std::vector<std::unique_ptr<comm::Communicator>> ranks) {
  const std::int64_t world_size = ranks.front()->size();
  const std::int64_t first_rank = ranks.front()->rank();
  const comm::StartTraining start = agent.join(
      workers::identify(run_folder, first_rank, std::ssize(ranks), world_size, ops::numerics_fingerprint()));
  const StopSignals signals(agent);
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
  if (start.checkpoint.empty()) storage_thread.run([&] { weights = initial_weights(config); });
  const auto workers = static_cast<int>(world_size);
  const Process process{
      .options = options,
      .events = event_options(config),
      .storage = {.checkpoints = run_folder / "checkpoints",
                  .load = start.checkpoint,
                  .epoch = epoch,
                  .weights = std::move(weights),
                  .routing = routing_folders(config, run_folder)},
      .layout = {options.batch, workers, static_cast<int>(config.parallel.expert_parallel.value_or(workers)),
                 static_cast<int>(config.model.moe.experts)},
      .data = *data,
      .storage_thread = storage_thread,
      .agent = agent,
      .clock = clock};
  return finish(agent, train_ranks(process, std::move(ranks)));
}

}  // namespace

int run_worker_process(const std::filesystem::path& run_folder, const configs::RunConfig& config,
                       std::vector<std::unique_ptr<comm::Communicator>> ranks) {
  const SystemClock clock;
  const comm::Contact contact = comm::read_contact(run_folder / comm::kContactFile);
  comm::TcpControlClient client(contact, config.control, clock);
  workers::AgentOptions agent_options;
  agent_options.on_coordinator_lost = end_without_coordinator;
  workers::WorkerAgent agent(client, agent_options);
  const int first_rank = ranks.front()->rank();
  try {
    return train(run_folder, config, agent, contact.epoch, std::move(ranks));
  } catch (const Error& error) {
    log::error("worker {}: {}", first_rank, error.what());
    agent.fail(first_rank, std::string(to_string(error.code())), error.what());
    return error.code() == ErrorCode::kConfig ? kUsage : kFailure;
  }
}

}  // namespace troupe::cli
