#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/coordinator/simulation/simulated_world.h"

namespace troupe::coordinator {

class JobWorker;

/// The workers of one epoch, as far as the control plane and the disk see them: they load what they are told
/// to, step together, do at every border what the plan for it names (saves by a storage thread each), and end
/// when they lose their coordinator. A job that its coordinator has given up lives on where nobody could
/// reach its workers.
class SimulatedJob {
 public:
  struct Options {
    comm::Epoch epoch = 0;
    std::string token;
    std::int64_t workers = 1;
    std::int64_t steps = 1;
    bool starts = true;  // else mpirun ends before any worker joins
  };
  /// mpirun is gone: killed says whether because a worker was.
  using OnEnded = std::function<void(bool killed)>;

  SimulatedJob(SimulatedWorld& world, const Options& options, OnEnded on_ended);
  ~SimulatedJob();

  [[nodiscard]] comm::Epoch epoch() const { return options_.epoch; }
  [[nodiscard]] std::int64_t workers() const { return options_.workers; }
  /// Still does something.
  [[nodiscard]] bool lives() const;

  // What may happen to a worker; nothing to one that is gone.
  void kill(std::int64_t rank);
  void freeze(std::int64_t rank, Duration how_long);
  void partition(std::int64_t rank, Duration how_long);
  /// For good, with a heart that beats.
  void hang(std::int64_t rank);
  /// What a frame that is lost, doubled or out of order leads to: the other end closes (channel.h).
  void break_link(std::int64_t rank);

  /// Its coordinator ends it: every worker that can be reached.
  void end();

 private:
  friend class JobWorker;

  void begin_when_ready();
  void load();
  void begin_step();
  void finish_step();
  void report();
  void border(bool stop);
  void hold_events(bool stop);
  void end_training();
  [[nodiscard]] bool take_newest_plan();
  void worker_is_gone(std::int64_t rank);
  [[nodiscard]] bool all_here() const;
  [[nodiscard]] JobWorker* find(std::int64_t rank);

  SimulatedWorld& world_;
  Options options_;
  OnEnded on_ended_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for calls that come later
  std::vector<std::unique_ptr<JobWorker>> workers_;             // null: gone
  std::int64_t come_ = 0;
  bool halted_ = false;  // a worker is gone: the next collective never ends
  bool ended_ = false;
  std::set<std::int64_t> unreachable_;
  comm::StepPlan plan_;       // that all hold
  bool interrupted_ = false;  // an evaluation was broken off
  std::int64_t step_ = 0;
  ModelState state_ = 0;
};

}  // namespace troupe::coordinator
