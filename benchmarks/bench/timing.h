#pragma once
#include <functional>
#include <vector>

#include "base/clock.h"

namespace troupe::benchmarks {

/// Seconds of repeated measurements.
struct Timing {
  double median = 0.0;
  double least = 0.0;
  double most = 0.0;
  int repeats = 0;
};
/// Of at least one measurement.
[[nodiscard]] Timing summarize(std::vector<double> seconds);

struct Repeats {
  int least = 5;
  double seconds = 0.3;  // go on until these have passed
};
/// Runs `body` once to warm up, then as often as `repeats` says, each time measured.
[[nodiscard]] Timing time_repeated(const Clock& clock, const Repeats& repeats,
                                   const std::function<void()>& body);

}  // namespace troupe::benchmarks
