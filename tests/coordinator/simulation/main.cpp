/// Simulates runs with faults, one for each seed, and looks for invariants that they break (simulated_run.h).
///   control_plane_simulation [--seeds N] [--first S]    N seeds from S on
///   control_plane_simulation --seed S                   one, with everything that happens in it
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <string>

#include "tests/coordinator/simulation/simulated_run.h"

namespace troupe::coordinator {
namespace {

struct Totals {
  std::uint64_t runs = 0;
  std::uint64_t bad = 0;
  std::uint64_t given_up = 0;
  std::uint64_t epochs = 0;
  std::map<std::string, int> faults;
};

void report(std::uint64_t seed, const std::string& problem) {
  std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), problem.c_str());
}

void simulate(std::uint64_t seed, bool tells, Totals& totals) {
  ++totals.runs;
  SimulatedRun run({seed, tells});
  std::string failure;
  SimulatedRun::End end = SimulatedRun::End::kNever;
  try {
    end = run.run();
  } catch (const std::exception& error) {
    failure = error.what();  // of an actor
  }
  if (end == SimulatedRun::End::kNever && failure.empty() && run.problems().empty())
    failure = "the run never ends";
  if (!failure.empty()) report(seed, failure);
  for (const std::string& problem : run.problems()) report(seed, problem);
  totals.bad += failure.empty() && run.problems().empty() ? 0 : 1;
  totals.given_up += end == SimulatedRun::End::kGivenUp ? 1 : 0;
  totals.epochs += static_cast<std::uint64_t>(run.epochs());
  for (const auto& [fault, times] : run.faults()) totals.faults[fault] += times;
}

int summarize(const Totals& totals) {
  for (const auto& [fault, times] : totals.faults) std::printf("%6d  %s\n", times, fault.c_str());
  std::printf(
      "%llu runs, %llu starts of workers, %llu runs given up by the policy, %llu with a broken invariant\n",
      static_cast<unsigned long long>(totals.runs), static_cast<unsigned long long>(totals.epochs),
      static_cast<unsigned long long>(totals.given_up), static_cast<unsigned long long>(totals.bad));
  return totals.bad == 0 ? 0 : 1;
}

std::uint64_t number_after(int count, char** arguments, const std::string& option, std::uint64_t otherwise) {
  for (int at = 1; at + 1 < count; ++at)
    if (option == arguments[at]) return std::strtoull(arguments[at + 1], nullptr, 10);
  return otherwise;
}

}  // namespace
}  // namespace troupe::coordinator

int main(int count, char** arguments) {
  using namespace troupe::coordinator;
  constexpr std::uint64_t kNone = ~std::uint64_t{0};
  Totals totals;
  if (const std::uint64_t seed = number_after(count, arguments, "--seed", kNone); seed != kNone) {
    simulate(seed, /*tells=*/true, totals);
    return summarize(totals);
  }
  const std::uint64_t first = number_after(count, arguments, "--first", 0);
  const std::uint64_t seeds = number_after(count, arguments, "--seeds", 2000);
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) simulate(seed, /*tells=*/false, totals);
  constexpr std::size_t kKindsOfFaults = 12;
  if (seeds >= 1000 && totals.faults.size() < kKindsOfFaults) {
    std::printf("only %zu of %zu kinds of faults struck\n", totals.faults.size(), kKindsOfFaults);
    return 1;
  }
  return summarize(totals);
}
