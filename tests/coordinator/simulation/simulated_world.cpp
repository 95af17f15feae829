#include "tests/coordinator/simulation/simulated_world.h"

#include <fmt/format.h>

#include <cstdio>

namespace troupe::coordinator {

ModelState after_step(ModelState before, std::int64_t step) {
  ModelState mixed = (before ^ static_cast<ModelState>(step)) * 0x9E3779B97F4A7C15ULL;  // splitmix64
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ULL;
  return mixed ^ (mixed >> 27);
}

ModelState expected_state(std::int64_t step) {
  ModelState state = 0;
  for (std::int64_t done = 1; done <= step; ++done) state = after_step(state, done);
  return state;
}

std::string name_of_checkpoint(std::int64_t step) { return fmt::format("step-{}", step); }

Duration SimulatedWorld::random_duration(Duration limit) { return Duration(random_below(limit.count() + 1)); }

std::int64_t SimulatedWorld::random_below(std::int64_t bound) {
  return static_cast<std::int64_t>(runtime.random_below(static_cast<std::uint64_t>(bound)));
}

void SimulatedWorld::tell(const std::string& event) const {
  if (tells) std::printf("%9.3f s  %s\n", seconds(runtime.clock().now().time_since_epoch()), event.c_str());
}

void SimulatedWorld::broken(const std::string& invariant) {
  tell("BROKEN: " + invariant);
  problems.push_back(invariant);
}

}  // namespace troupe::coordinator
