#include "tests/coordinator/run/simulated_cluster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "base/error.h"

namespace troupe::coordinator {
namespace {

using ListenerApi = comm::ClientEvents;

std::string peer_name(std::int64_t rank) { return "rank-" + std::to_string(rank); }

bool contains(const std::vector<std::int64_t>& steps, std::int64_t step) {
  return std::ranges::binary_search(steps, step);
}

}  // namespace

bool RecordingObserver::noted(const std::string& part) const {
  return std::ranges::any_of(notes,
                             [&](const auto& note) { return note.second.find(part) != std::string::npos; });
}

CommittedCheckpoint RecordingCommits::commit(const CheckpointAttempt& attempt) {
  if (failure) throw Error(ErrorCode::kIo, "{}", *failure);
  std::set<std::int64_t> ranks;
  for (const comm::ShardWritten& shard : attempt.shards) {
    EXPECT_EQ(shard.step, attempt.step);
    EXPECT_EQ(shard.error, "");
    ranks.insert(shard.rank);
  }
  EXPECT_EQ(static_cast<std::int64_t>(ranks.size()), world_size_) << "not every worker wrote its part";
  EXPECT_EQ(attempt.epoch, SimulatedCluster::kEpoch);
  committed.push_back(attempt.step);
  return {"/checkpoints/" + std::to_string(attempt.step), 1000};
}

void RecordingCommits::abandon(std::int64_t step, comm::Epoch) { abandoned.push_back(step); }

/// A worker process as the control plane sees it.
class SimulatedWorker {
 public:
  /// What it was told, filled by its actor.
  struct Told {
    std::optional<comm::StartTraining> start;
    comm::StepPlan plan;
    bool stop = false;
    bool dismissed = false;
    std::string refused;
  };

  class Listener final : public actors::Actor<ListenerApi> {
   public:
    Listener(Told& told, comm::ControlClient& client) : told_(told), client_(client) {}
    void on(const comm::CoordinatorConnected&) override {}
    void on(const comm::CoordinatorMessageArrived& arrived) override {
      std::visit([this](const auto& message) { take(message); }, arrived.message);
    }
    void on(const comm::CoordinatorLost&) override {}
    void on(const comm::LinkFinished&) override {}

   private:
    void take(const comm::StartTraining& start) { told_.start = start; }
    void take(const comm::StepPlan& plan) { told_.plan = plan; }
    void take(const comm::StopTraining&) { told_.stop = true; }
    void take(const comm::Dismiss&) {
      told_.dismissed = true;
      client_.finish();
    }
    void take(const comm::Refuse& refuse) { told_.refused = refuse.reason; }

    Told& told_;
    comm::ControlClient& client_;
  };

  SimulatedWorker(SimulatedCluster& cluster, const comm::JoinRequested& identity)
      : cluster_(cluster),
        client_(cluster.network.make_client(SimulatedCluster::kEpoch, peer_name(identity.first_rank))) {
    listener_ = cluster.runtime.spawn("listener " + peer_name(identity.first_rank),
                                      [this] { return std::make_unique<Listener>(told, *client_); });
    client_->start(listener_);
    send(identity);
  }
  ~SimulatedWorker() { cluster_.runtime.stop(listener_); }

  void send(const comm::WorkerMessage& message) { (void)client_->send(message); }

  Told told;

 private:
  SimulatedCluster& cluster_;
  std::unique_ptr<comm::ControlClient> client_;
  actors::Address<ListenerApi> listener_;
};

SimulatedCluster::SimulatedCluster(const Options& chosen)
    : options(chosen),
      runtime(chosen.seed, chosen.mailbox_delay),
      network(runtime),
      commits(chosen.workers),
      server(network.make_server()),
      step_(chosen.first_step),
      saved_step_(chosen.first_step) {
  server->begin_epoch(kEpoch);
  RunControllerOptions run;
  run.epoch = kEpoch;
  run.world_size = options.workers;
  run.first_step = options.first_step;
  run.schedule.run.steps = options.steps;
  run.schedule.checkpoint.every = options.save_every;
  run.schedule.evaluation.every = 4;
  const RunActors actors = spawn_run_actors(runtime, run, "nonce", {*server, commits, observer},
                                            [this](const RunOutcome& outcome) {
                                              outcome_ = outcome;
                                              ++outcomes;
                                            });
  controller = actors.controller;
  actors.begin(*server);
}

SimulatedCluster::~SimulatedCluster() = default;

comm::JoinRequested SimulatedCluster::identity_of(std::int64_t rank) const {
  return {.first_rank = rank,
          .ranks = 1,
          .world_size = options.workers,
          .host = "host" + std::to_string(rank),
          .process_id = 1000 + rank,
          .numerics_fingerprint = 42,
          .run_folder_nonce = "nonce"};
}

Duration SimulatedCluster::random_duration(Duration limit) {
  return Duration(
      static_cast<std::int64_t>(runtime.random_below(static_cast<std::uint64_t>(limit.count()) + 1)));
}

void SimulatedCluster::start_workers() {
  for (std::int64_t rank = 0; rank < options.workers; ++rank) {
    after(random_duration(std::chrono::seconds(1)), [this, rank] {
      if (!halted_) start_worker(identity_of(rank));
    });
  }
  begin_training_when_ready();
}

void SimulatedCluster::start_worker(const comm::JoinRequested& identity) {
  workers_[identity.first_rank] = std::make_unique<SimulatedWorker>(*this, identity);
}

void SimulatedCluster::begin_training_when_ready() {
  if (halted_ || has_ended()) return;
  const bool ready = static_cast<std::int64_t>(workers_.size()) == options.workers &&
                     std::ranges::all_of(workers_, [](const auto& one) {
                       return one.second->told.start.has_value() && one.second->told.plan.version > 0;
                     });
  if (!ready) {
    after(std::chrono::milliseconds(10), [this] { begin_training_when_ready(); });
    return;
  }
  training_ = true;
  if (step_ == 0) border(false);
  if (step_ >= options.steps) return end_training();
  begin_step();
}

bool SimulatedCluster::stands_still() const { return halted_ || !frozen_.empty(); }

void SimulatedCluster::begin_step() {
  if (stands_still()) {
    step_waits_ = true;
    return;
  }
  after(random_duration(options.longest_step), [this] { finish_step(); });
}

void SimulatedCluster::finish_step() {
  if (stands_still()) {
    step_waits_ = true;
    return;
  }
  ++step_;
  // The control word: the maximum of what each worker knows when the step ends.
  const bool stop = std::ranges::any_of(workers_, [](const auto& one) { return one.second->told.stop; });
  for (const auto& [rank, worker] : workers_) {
    comm::StepFinished report;
    report.rank = rank;
    report.step = step_;
    if (rank == 0) {
      report.metrics["loss"] = 1.0 / static_cast<double>(step_);
      report.tokens_total = 100 * step_;
      report.loads.push_back({.layer = 1, .counts = {1, 2, 3}, .bias = {}});
    }
    worker->send(report);
  }
  border(stop);
  if (stop || step_ == options.steps) return end_training();
  begin_step();
}

void SimulatedCluster::border(bool stop) {
  const comm::StepPlan& plan = workers_.at(0)->told.plan;
  EXPECT_LE(plan.first_step, step_ + 1);
  if (contains(plan.evaluate, step_) || contains(plan.evaluate_fully, step_)) {
    workers_.at(0)->send(comm::EvaluationFinished{.step = step_, .domains = {}, .loads = {}});
  }
  if (stop || contains(plan.save, step_)) save();
}

void SimulatedCluster::save() {
  if (std::exchange(saved_step_, step_) == step_) return;
  for (const auto& [rank, worker] : workers_) {
    comm::ShardWritten shard;
    shard.rank = rank;
    shard.step = step_;
    shard.folder = ".tmp-" + std::to_string(step_);
    if (options.failing_shard == rank) shard.error = "no space left on device";
    worker->send(shard);
  }
}

void SimulatedCluster::end_training() {
  training_ = false;
  for (const auto& [rank, worker] : workers_) {
    worker->send(comm::TrainingEnded{.rank = rank, .step = step_, .finished = step_ >= options.steps});
  }
}

void SimulatedCluster::kill(std::int64_t rank) {
  halted_ = true;
  workers_.erase(rank);
  after(std::chrono::milliseconds(1100), [this] {
    workers_.clear();
    EXPECT_EQ(controller.send(JobEnded{"exited with code 137"}), actors::Delivery::kDelivered);
  });
}

void SimulatedCluster::break_down(std::int64_t rank, const std::string& error_code,
                                  const std::string& message) {
  workers_.at(rank)->send(comm::WorkerFailed{.rank = rank, .error_code = error_code, .message = message});
  halted_ = true;
}

void SimulatedCluster::say(std::int64_t rank, const comm::WorkerMessage& message) {
  workers_.at(rank)->send(message);
}

void SimulatedCluster::freeze(std::int64_t rank) {
  network.freeze(peer_name(rank));
  frozen_.insert(rank);
}

void SimulatedCluster::thaw(std::int64_t rank) {
  network.thaw(peer_name(rank));
  frozen_.erase(rank);
  if (std::exchange(step_waits_, false)) begin_step();
}

void SimulatedCluster::request_stop() {
  EXPECT_EQ(controller.send(StopRequested{"SIGTERM", 0}), actors::Delivery::kDelivered);
}

bool SimulatedCluster::run() {
  return runtime.run_until([this] { return has_ended(); }, std::chrono::hours(1));
}

std::int64_t SimulatedCluster::dismissed_workers() const {
  return std::ranges::count_if(workers_, [](const auto& one) { return one.second->told.dismissed; });
}

}  // namespace troupe::coordinator
