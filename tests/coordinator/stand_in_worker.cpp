/// A worker process without a trainer, for tests of the coordinator over real sockets and processes: joins by
/// the run folder that it is given, takes steps of no work, and behaves as TROUPE_STAND_IN says.
///   TROUPE_WORKERS=3 TROUPE_STAND_IN=finish stand_in_worker worker --run-dir DIR
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "comm/control/link/contact.h"
#include "comm/control/link/run_files.h"
#include "comm/control/tcp/tcp_client.h"
#include "workers/agent/worker_agent.h"

namespace troupe {
namespace {

constexpr std::int64_t kSteps = 20;

comm::StepFinished step_finished(std::int64_t rank, std::int64_t step) {
  comm::StepFinished report;
  report.rank = rank;
  report.step = step;
  if (rank == 0) report.metrics["loss"] = 1.0 / static_cast<double>(step);
  return report;
}

void save(workers::WorkerAgent& agent, std::int64_t ranks, std::int64_t step) {
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    comm::ShardWritten shard;
    shard.rank = rank;
    shard.step = step;
    agent.report(shard);
  }
}

/// Every step of all ranks; returns the last.
std::int64_t train(workers::WorkerAgent& agent, comm::ControlClient& client, std::int64_t ranks,
                   const std::string& behaviour) {
  std::int64_t step = 0;
  while (step < kSteps && !agent.stop_requested()) {
    ++step;
    if (behaviour == "crash" && step == 5) {
      std::fputs("the stand-in is about to crash\n", stderr);
      (void)client.wait_until_acknowledged(std::chrono::seconds(30));
      ::raise(SIGKILL);
    }
    if (behaviour == "break" && step == 5) throw Error(ErrorCode::kIo, "the stand-in breaks");
    for (std::int64_t rank = 0; rank < ranks; ++rank) agent.report(step_finished(rank, step));
    if (behaviour == "wait" && step == 5) {
      while (!agent.stop_requested()) ::usleep(1000);  // an endless step that only a stop ends
    }
  }
  save(agent, ranks, step);
  return step;
}

int run(const std::filesystem::path& run_folder, const std::string& behaviour, std::int64_t ranks) {
  if (behaviour == "usage") {
    std::fputs("stand-in: no such corpus\n", stderr);
    return 2;
  }
  const SystemClock clock;
  comm::TcpControlClient client(comm::read_contact(run_folder / comm::kContactFile), {}, clock);
  workers::AgentOptions options;
  options.on_coordinator_lost = [](const std::string&) { ::_exit(1); };
  workers::WorkerAgent agent(client, options);
  comm::JoinRequested identity = workers::identify(run_folder, 0, ranks, ranks, 42);
  if (const char* job = std::getenv(comm::kJobVariable)) identity.job = job;
  (void)agent.join(identity);
  (void)agent.plan(1);
  try {
    const std::int64_t step = train(agent, client, ranks, behaviour);
    std::vector<comm::TrainingEnded> ended;
    for (std::int64_t rank = 0; rank < ranks; ++rank) ended.push_back({rank, step, step == kSteps});
    agent.finish(ended);
  } catch (const Error& error) {
    agent.fail(0, std::string(to_string(error.code())), error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace troupe

int main(int argc, char** argv) {
  const char* behaviour = std::getenv("TROUPE_STAND_IN");
  const char* workers = std::getenv("TROUPE_WORKERS");
  if (argc != 4 || behaviour == nullptr || workers == nullptr) return 2;
  try {
    return troupe::run(argv[3], behaviour, std::atoll(workers));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "stand-in: %s\n", error.what());
    return 1;
  }
}
