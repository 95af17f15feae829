#include "tests/coordinator/simulation/simulated_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "actors/actor.h"

namespace troupe::coordinator {

using namespace std::chrono_literals;

/// A worker process: its link, what it was told, and its storage thread.
class JobWorker {
 public:
  class Listener final : public actors::Actor<comm::ClientEvents> {
   public:
    explicit Listener(JobWorker& worker) : worker_(worker) {}
    void on(const comm::CoordinatorConnected&) override {}
    void on(const comm::CoordinatorMessageArrived& arrived) override {
      std::visit([this](const auto& message) { worker_.take(message); }, arrived.message);
    }
    void on(const comm::CoordinatorLost& lost) override { worker_.leave(lost.reason); }
    void on(const comm::LinkFinished&) override { worker_.leave("it is done"); }

   private:
    JobWorker& worker_;
  };

  JobWorker(SimulatedJob& job, std::int64_t rank)
      : job_(job),
        rank_(rank),
        client_(job.world_.network.make_client(job.epoch(), peer())),
        listener_(
            job.world_.runtime.spawn("listener", [this] { return std::make_unique<Listener>(*this); })) {
    client_->start(listener_);
    say(comm::JoinRequested{.first_rank = rank,
                            .ranks = 1,
                            .world_size = job.workers(),
                            .host = "host",
                            .process_id = rank,
                            .numerics_fingerprint = 42,
                            .run_folder_nonce = "nonce",
                            .job = job.options_.token});
  }
  ~JobWorker() {
    *alive_ = false;
    job_.world_.runtime.stop(listener_);
  }
  JobWorker(const JobWorker&) = delete;
  JobWorker& operator=(const JobWorker&) = delete;

  [[nodiscard]] std::string peer() const { return fmt::format("{}-{}", job_.epoch(), rank_); }
  [[nodiscard]] bool can_step() const { return !frozen && !hung; }
  [[nodiscard]] bool is_ready() const { return start && !plans.empty(); }

  void say(const comm::WorkerMessage& message) { (void)client_->send(message); }

  /// The storage thread writes one part after another, beside the steps.
  void save(std::int64_t step, ModelState state) {
    saves_.emplace_back(step, state);
    if (saves_.size() == 1) write_next();
  }

  /// Once everything is written.
  void end_training(std::int64_t step, bool finished) {
    ended_ = comm::TrainingEnded{.rank = rank_, .step = step, .finished = finished};
    tell_end();
  }

  std::optional<comm::StartTraining> start;
  std::map<std::int64_t, comm::StepPlan> plans;  // by version
  bool stop = false;
  bool frozen = false;
  bool hung = false;

 private:
  void take(const comm::StartTraining& told) { start = told; }
  void take(const comm::StepPlan& told) { plans[told.version] = told; }
  void take(const comm::StopTraining&) { stop = true; }
  void take(const comm::Dismiss&) { client_->finish(); }
  void take(const comm::Refuse& refusal) { leave("it was refused: " + refusal.reason); }

  /// Between two messages: nothing of this object may run when it goes.
  void leave(const std::string& why) {
    job_.world_.tell(fmt::format("worker {} leaves: {}", peer(), why));
    job_.world_.after(0ms, [alive = alive_, this] {
      if (*alive) job_.worker_is_gone(rank_);
    });
  }

  void write_next() {
    job_.world_.after(job_.world_.random_duration(120ms), [alive = alive_, this] {
      if (*alive) write();
    });
  }

  void write() {
    if (frozen) return write_next();
    const auto [step, state] = saves_.front();
    job_.world_.disk.parts[{job_.epoch(), step}][rank_] = state;
    comm::ShardWritten shard;
    shard.rank = rank_;
    shard.step = step;
    shard.folder = fmt::format(".tmp-{}-{}", step, job_.epoch());
    shard.updates = step;
    say(shard);
    saves_.pop_front();
    if (!saves_.empty()) return write_next();
    tell_end();
  }

  void tell_end() {
    if (ended_ && saves_.empty()) say(*std::exchange(ended_, std::nullopt));
  }

  SimulatedJob& job_;
  std::int64_t rank_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<comm::ControlClient> client_;
  actors::Address<comm::ClientEvents> listener_;
  std::deque<std::pair<std::int64_t, ModelState>> saves_;
  std::optional<comm::TrainingEnded> ended_;
};

SimulatedJob::SimulatedJob(SimulatedWorld& world, const Options& options, OnEnded on_ended)
    : world_(world),
      options_(options),
      on_ended_(std::move(on_ended)),
      workers_(static_cast<std::size_t>(options.workers)) {
  if (!options_.starts) {
    world_.after(300ms, [alive = alive_, this] {
      if (*alive && !std::exchange(ended_, true)) on_ended_(false);
    });
    return;
  }
  for (std::int64_t rank = 0; rank < options_.workers; ++rank) {
    world_.after(world_.random_duration(500ms), [alive = alive_, this, rank] {
      if (!*alive || halted_) return;
      workers_[static_cast<std::size_t>(rank)] = std::make_unique<JobWorker>(*this, rank);
      ++come_;
    });
  }
  begin_when_ready();
}

SimulatedJob::~SimulatedJob() { *alive_ = false; }

bool SimulatedJob::lives() const {
  return !ended_ || std::ranges::any_of(workers_, [](const auto& worker) { return worker != nullptr; });
}

JobWorker* SimulatedJob::find(std::int64_t rank) {
  return rank < options_.workers ? workers_[static_cast<std::size_t>(rank)].get() : nullptr;
}

bool SimulatedJob::all_here() const {
  return !halted_ &&
         std::ranges::all_of(workers_, [](const auto& worker) { return worker && worker->can_step(); });
}

// ---- training ------------------------------------------------------------------------------------

void SimulatedJob::begin_when_ready() {
  if (halted_ || ended_) return;
  const bool ready = come_ == options_.workers && all_here() &&
                     std::ranges::all_of(workers_, [](const auto& worker) { return worker->is_ready(); });
  if (ready) return load();
  world_.after(10ms, [alive = alive_, this] {
    if (*alive) begin_when_ready();
  });
}

void SimulatedJob::load() {
  const std::string& name = find(0)->start->checkpoint;
  if (!name.empty()) {
    const auto found = std::ranges::find_if(world_.disk.checkpoints, [&](const auto& checkpoint) {
      return name_of_checkpoint(checkpoint.first) == name;
    });
    if (found == world_.disk.checkpoints.end())
      return world_.broken(name + " is to be loaded: it is not there");
    step_ = found->first;
    state_ = found->second.state;
  }
  (void)take_newest_plan();
  if (step_ >= plan_.first_step) hold_events(false);
  if (step_ >= options_.steps) return end_training();
  begin_step();
}

/// As the control word of a step does; false while a worker has yet to hear of it, or there is none for the
/// next step.
bool SimulatedJob::take_newest_plan() {
  std::int64_t newest = 0;
  for (const auto& worker : workers_) newest = std::max(newest, worker->plans.rbegin()->first);
  if (!std::ranges::all_of(workers_, [&](const auto& worker) { return worker->plans.contains(newest); }))
    return false;
  plan_ = find(0)->plans.at(newest);
  return step_ < plan_.last_step;
}

void SimulatedJob::begin_step() {
  world_.after(world_.random_duration(50ms), [alive = alive_, this] {
    if (*alive) finish_step();
  });
}

/// A frozen worker holds up all others; one that is gone, or hangs, for ever.
void SimulatedJob::finish_step() {
  if (halted_) return;
  if (!all_here() || !take_newest_plan()) return begin_step();
  ++step_;
  state_ = after_step(state_, step_);
  const bool stop = std::ranges::any_of(workers_, [](const auto& worker) { return worker->stop; });
  report();
  border(stop);
  if (stop || step_ == options_.steps) return end_training();
  begin_step();
}

void SimulatedJob::report() {
  for (std::int64_t rank = 0; rank < options_.workers; ++rank) {
    comm::StepFinished report;
    report.rank = rank;
    report.step = step_;
    if (rank == 0) report.loads.push_back({.layer = 1, .counts = {1, 2, 3}, .bias = {}});
    find(rank)->say(report);
  }
}

void SimulatedJob::border(bool stop) {
  if (plan_.first_step > step_ || plan_.last_step < step_)
    world_.broken(fmt::format("what happens after step {} is asked of a plan of steps {} to {}", step_,
                              plan_.first_step, plan_.last_step));
  hold_events(stop);
  if (!stop && !std::ranges::binary_search(plan_.save, step_)) return;
  for (const auto& worker : workers_) worker->save(step_, state_);
}

/// A request to stop may come before an evaluation has ended.
void SimulatedJob::hold_events(bool stop) {
  if (!std::ranges::binary_search(plan_.evaluate, step_) &&
      !std::ranges::binary_search(plan_.evaluate_fully, step_))
    return;
  interrupted_ = stop && world_.random_below(2) == 0;
  if (!interrupted_) find(0)->say(comm::EvaluationFinished{.step = step_, .domains = {}, .loads = {}});
}

void SimulatedJob::end_training() {
  for (const auto& worker : workers_) worker->end_training(step_, step_ >= options_.steps && !interrupted_);
}

// ---- ends ----------------------------------------------------------------------------------------

void SimulatedJob::worker_is_gone(std::int64_t rank) {
  const bool was_trained = step_ >= options_.steps;
  workers_[static_cast<std::size_t>(rank)].reset();
  halted_ = true;
  world_.after(1100ms, [alive = alive_, this, was_trained] {  // mpirun ends the others
    if (!*alive || ended_) return;
    end();
    on_ended_(!was_trained);
  });
}

void SimulatedJob::kill(std::int64_t rank) {
  if (find(rank) != nullptr) worker_is_gone(rank);
}

void SimulatedJob::freeze(std::int64_t rank, Duration how_long) {
  JobWorker* worker = find(rank);
  if (worker == nullptr) return;
  worker->frozen = true;
  world_.network.freeze(worker->peer());
  world_.after(how_long, [alive = alive_, this, rank] {
    JobWorker* frozen = *alive ? find(rank) : nullptr;
    if (frozen == nullptr) return;
    frozen->frozen = false;
    world_.network.thaw(frozen->peer());
  });
}

void SimulatedJob::partition(std::int64_t rank, Duration how_long) {
  JobWorker* worker = find(rank);
  if (worker == nullptr) return;
  const std::string peer = worker->peer();
  unreachable_.insert(rank);
  world_.network.partition(peer);
  world_.after(how_long, [&world = world_, alive = alive_, this, rank, peer] {
    world.network.heal(peer);
    if (*alive) unreachable_.erase(rank);
  });
}

void SimulatedJob::hang(std::int64_t rank) {
  if (find(rank) != nullptr) find(rank)->hung = true;
}

void SimulatedJob::break_link(std::int64_t rank) {
  if (find(rank) != nullptr) world_.network.break_link(find(rank)->peer());
}

void SimulatedJob::end() {
  ended_ = halted_ = true;
  for (std::int64_t rank = 0; rank < options_.workers; ++rank)
    if (!unreachable_.contains(rank)) workers_[static_cast<std::size_t>(rank)].reset();
}

}  // namespace troupe::coordinator
