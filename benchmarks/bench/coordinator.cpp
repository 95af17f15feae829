#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <sstream>

#include "actors/deterministic_runtime.h"
#include "base/error.h"
#include "base/index.h"
#include "benchmarks/bench/bench.h"
#include "benchmarks/bench/report.h"
#include "benchmarks/bench/spoken_worker.h"
#include "cli/run/metrics_observer.h"
#include "cli/subcommands.h"
#include "cli/terminal/terminal.h"
#include "comm/control/link/channel.h"
#include "comm/control/messages/codec.h"
#include "comm/control/options.h"
#include "coordinator/run/observer_list.h"
#include "coordinator/run/run_actors.h"
#include "data/corpus/temporary_folder.h"

namespace troupe::benchmarks {
namespace {

using comm::ConnectionId;

constexpr comm::Epoch kEpoch = SpokenWorker::kEpoch;
constexpr Duration kStep = std::chrono::seconds(1);  // of the simulated workers

struct CoordinatorArguments {
  std::vector<std::int64_t> workers{64, 256, 1024, 4096};
  std::int64_t steps = 10;
  SpokenModel model;
  bool json = false;
};

/// The coordinator's end of all links without sockets: bytes go in as they come from a socket, and through
/// frames, numbers and codec as in the TCP server.
class MemoryServer final : public comm::ControlServer {
 public:
  explicit MemoryServer(const Clock& clock) : clock_(clock) {}

  void connect(const std::string& peer) {
    links_.push_back({comm::Channel(kEpoch), clock_.now()});
    deliver(comm::WorkerConnected{std::ssize(links_), kEpoch, peer});
  }
  void receive(ConnectionId connection, std::string_view bytes) {
    Link& link = link_of(connection);
    link.last_heard = clock_.now();
    link.channel.feed(bytes);
    while (const auto payload = link.channel.next_message()) {
      deliver(comm::WorkerMessageArrived{connection, kEpoch, comm::decode_worker_message(*payload)});
      link.channel.take_in();
    }
  }
  /// Acknowledges all that came; returns what goes to the worker.
  [[nodiscard]] std::string beat(ConnectionId connection) {
    link_of(connection).channel.acknowledge();
    return link_of(connection).channel.take_output();
  }

  void start(actors::Address<comm::ServerEvents> events) override { events_ = std::move(events); }
  void begin_epoch(comm::Epoch) override {}
  actors::Delivery send(ConnectionId connection, const comm::CoordinatorMessage& message) override {
    return link_of(connection).channel.send(comm::encode(message));
  }
  void close(ConnectionId) override { throw Error(ErrorCode::kInternal, "the coordinator closed a link"); }
  [[nodiscard]] std::vector<comm::LastHeard> last_heard() const override {
    std::vector<comm::LastHeard> heard;
    for (const Link& link : links_) heard.push_back({std::ssize(heard) + 1, link.last_heard});
    return heard;
  }
  [[nodiscard]] std::int64_t stale_messages() const override { return 0; }

 private:
  struct Link {
    comm::Channel channel;
    TimePoint last_heard;
  };

  Link& link_of(ConnectionId connection) { return links_.at(at(connection) - 1); }
  /// As an event of a server's session: one that does not fit would wait, so the mailbox gets a copy.
  template <class Event>
  void deliver(const Event& event) {
    const actors::Delivery delivery = events_.send(event);
    TROUPE_CHECK(delivery == actors::Delivery::kDelivered, "the coordinator takes no more");
  }

  const Clock& clock_;
  actors::Address<comm::ServerEvents> events_;
  std::vector<Link> links_;
};

/// No checkpoint is due in these few steps.
class NoCommits final : public coordinator::CheckpointCommits {
 public:
  coordinator::CommittedCheckpoint commit(const coordinator::CheckpointAttempt&) override { return {}; }
  void abandon(std::int64_t, comm::Epoch) override {}
};

/// Who watches a real run: the terminal, the dashboard's history, metrics.jsonl.
class Watchers {
 public:
  explicit Watchers(const Clock& clock)
      : hub_(dashboard::RunInfo()),
        file_(folder_.path() / "metrics.jsonl"),
        metrics_(hub_, file_, folder_.path() / "samples.txt", clock),
        terminal_(text_, {}, clock),
        list_({&terminal_, &metrics_}) {}
  [[nodiscard]] coordinator::RunObserver& list() { return list_; }

 private:
  data::TemporaryFolder folder_{std::filesystem::temp_directory_path() /
                                fmt::format("troupe-bench-coordinator-{}", ::getpid())};  // metrics, samples
  std::ostringstream text_;
  dashboard::MetricsHub hub_;
  dashboard::JsonlSink file_;
  cli::MetricsObserver metrics_;
  cli::Terminal terminal_;
  coordinator::ObserverList list_;
};

/// The actors of a run in virtual time, in this thread, and the workers that they hear.
class CoordinatorBench {
 public:
  CoordinatorBench(std::int64_t workers, const CoordinatorArguments& arguments)
      : steps_(arguments.steps), runtime_(1), server_(runtime_.clock()), watchers_(runtime_.clock()) {
    for (std::int64_t rank = 0; rank < workers; ++rank) workers_.emplace_back(rank, workers, arguments.model);
    coordinator::RunControllerOptions options;
    options.epoch = kEpoch;
    options.world_size = workers;
    options.schedule.run.steps = steps_ + 2;  // the last step is special
    options.schedule.checkpoint.every = options.schedule.evaluation.every = 0;
    coordinator::spawn_run_actors(runtime_, options, SpokenWorker::kNonce,
                                  {server_, commits_, watchers_.list()},
                                  [](const coordinator::RunOutcome& outcome) {
                                    throw Error(ErrorCode::kInternal, "the run ended: {}", outcome.message);
                                  })
        .begin(server_);
  }

  struct Result {
    double join = 0.0;           // seconds, for all workers to come
    std::vector<double> steps;   // seconds
    std::vector<double> floors;  // seconds: the same messages, only decoded
    std::size_t step_bytes = 0;
  };

  Result run() {
    Result result;
    result.join = join();
    for (std::int64_t step = 1; step <= steps_ + 1; ++step) {  // the first one touches memory
      std::vector<std::string> messages;
      const double time = hear_step(step, messages);
      const double floor = decode(messages);
      if (step == 1) continue;
      result.steps.push_back(time);
      result.floors.push_back(floor);
      result.step_bytes = 0;
      for (const std::string& message : messages) result.step_bytes += message.size();
    }
    return result;
  }

 private:
  template <class Work>
  double timed(Work work) {
    const TimePoint start = clock_.now();
    work();
    return seconds(clock_.now() - start);
  }

  double join() {
    std::vector<std::string> words;
    for (SpokenWorker& worker : workers_) words.push_back(worker.join());
    const double time = timed([&] {
      for (std::size_t i = 0; i < words.size(); ++i) {
        server_.connect("127.0.0.1:1");
        server_.receive(static_cast<ConnectionId>(i) + 1, words[i]);
        runtime_.run_until_idle();
      }
      runtime_.run_for(heartbeat_);
    });
    exchange_heartbeats();
    return time;
  }

  /// All that the coordinator does in one step's time: the reports, then the heartbeats.
  double hear_step(std::int64_t step, std::vector<std::string>& messages) {
    std::vector<std::string> reports;
    for (SpokenWorker& worker : workers_) reports.push_back(worker.report(step, messages));
    double time = timed([&] { hear(reports); });
    for (Duration passed{}; passed < kStep; passed += heartbeat_) time += exchange_heartbeats();
    return time;
  }

  void hear(const std::vector<std::string>& words) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      server_.receive(static_cast<ConnectionId>(i) + 1, words[i]);
      runtime_.run_until_idle();  // the actors' threads keep up with the server's
    }
  }

  double exchange_heartbeats() {
    std::vector<std::string> theirs;
    std::vector<std::string> ours;
    for (SpokenWorker& worker : workers_) theirs.push_back(worker.heartbeat());
    const double time = timed([&] {
      hear(theirs);
      for (std::size_t i = 0; i < workers_.size(); ++i)
        ours.push_back(server_.beat(static_cast<ConnectionId>(i) + 1));
      runtime_.run_for(heartbeat_);
    });
    for (std::size_t i = 0; i < workers_.size(); ++i) workers_[i].hear(ours[i]);
    return time;
  }

  double decode(const std::vector<std::string>& messages) {
    return timed([&] {
      for (const std::string& message : messages) (void)comm::decode_worker_message(message);
    });
  }

  const Duration heartbeat_ = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(comm::ControlOptions().heartbeat_seconds));
  std::int64_t steps_;
  SystemClock clock_;
  NoCommits commits_;
  actors::DeterministicRuntime runtime_;
  MemoryServer server_;
  Watchers watchers_;
  std::vector<SpokenWorker> workers_;
};

int bench_coordinator(const CoordinatorArguments& arguments) {
  Report report{.title = fmt::format("the coordinator's own time in a step of {:.0f} s; worker 0 reports {} "
                                     "layers of {} experts; without sockets",
                                     seconds(kStep), arguments.model.layers, arguments.model.experts),
                .unit = "workers/ms",
                .floor = "decoding",
                .measurements = {},
                .facts = {}};
  for (const std::int64_t workers : arguments.workers) {
    const auto result = CoordinatorBench(workers, arguments).run();
    report.measurements.push_back({.what = fmt::format("{} workers", workers),
                                   .seconds = summarize(result.steps),
                                   .amount = 1e-3 * static_cast<double>(workers),
                                   .floor_seconds = summarize(result.floors).median});
    const double per_worker = summarize(result.steps).median / static_cast<double>(workers);
    report.facts.push_back({fmt::format("microseconds_per_worker_{}", workers), 1e6 * per_worker});
    report.facts.push_back({fmt::format("join_milliseconds_{}", workers), 1e3 * result.join});
    report.facts.push_back({fmt::format("step_bytes_{}", workers), static_cast<double>(result.step_bytes)});
  }
  print(report, arguments.json);
  return cli::kSuccess;
}

}  // namespace

void add_bench_coordinator(CLI::App& bench, Action& action) {
  auto* coordinator =
      bench.add_subcommand("coordinator", "A step of a run with many workers, as the coordinator hears it");
  const auto arguments = std::make_shared<CoordinatorArguments>();
  coordinator->add_option("--workers", arguments->workers, "Numbers of workers, each one line")
      ->check(CLI::Range(1, 1 << 16));
  coordinator->add_option("--steps", arguments->steps, "Steps that count")->check(CLI::Range(1, 1000));
  coordinator->add_option("--layers", arguments->model.layers, "MoE layers")->check(CLI::Range(0, 1000));
  coordinator->add_option("--experts", arguments->model.experts, "Experts of a layer")
      ->check(CLI::Range(1, 4096));
  coordinator->add_flag("--json", arguments->json, "Machine-readable");
  coordinator->footer("Example:\n  troupe bench coordinator --workers 1024 4096 --json");
  coordinator->callback(
      [arguments, &action] { action = [arguments] { return bench_coordinator(*arguments); }; });
}

}  // namespace troupe::benchmarks
