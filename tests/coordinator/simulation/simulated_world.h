#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/deterministic_runtime.h"
#include "comm/control/simulated/simulated.h"

namespace troupe::coordinator {

/// What a model has become: a chain over every step, in which a step that was left out, or done twice, shows
/// for ever.
using ModelState = std::uint64_t;

[[nodiscard]] ModelState after_step(ModelState before, std::int64_t step);
/// Of a run that nothing happened to.
[[nodiscard]] ModelState expected_state(std::int64_t step);

/// What survives the death of every process of a run.
struct SimulatedDisk {
  struct Checkpoint {
    comm::Epoch epoch = 0;
    std::int64_t workers = 0;
    ModelState state = 0;
  };

  comm::Epoch epoch = 0;                           // the newest that workers were started for
  std::map<std::int64_t, Checkpoint> checkpoints;  // committed, by step
  std::map<std::pair<comm::Epoch, std::int64_t>, std::map<std::int64_t, ModelState>>
      parts;                              // written, by rank
  std::vector<std::int64_t> metrics;      // steps with a line
  std::vector<std::int64_t> evaluations;  // the same
  std::set<std::int64_t> failed_saves;    // steps whose checkpoint could not be written
};

[[nodiscard]] std::string name_of_checkpoint(std::int64_t step);

/// Time, network, disk and chance of one simulated run, and what was found wrong with it.
struct SimulatedWorld {
  SimulatedWorld(std::uint64_t seed, bool tells_events)
      : runtime(seed, std::chrono::milliseconds(1)), network(runtime), tells(tells_events) {}

  /// In [0, limit].
  [[nodiscard]] Duration random_duration(Duration limit);
  [[nodiscard]] std::int64_t random_below(std::int64_t bound);
  void after(Duration delay, std::function<void()> action) { runtime.call_later(delay, std::move(action)); }
  void tell(const std::string& event) const;
  void broken(const std::string& invariant);

  actors::DeterministicRuntime runtime;
  comm::SimulatedNetwork network;
  SimulatedDisk disk;
  std::vector<std::string> problems;
  bool tells;
};

}  // namespace troupe::coordinator
