#include "benchmarks/bench/timing.h"

#include <algorithm>

#include "base/error.h"

namespace troupe::benchmarks {

Timing summarize(std::vector<double> times) {
  TROUPE_CHECK(!times.empty(), "nothing was measured");
  std::ranges::sort(times);
  return {.median = times[times.size() / 2],
          .least = times.front(),
          .most = times.back(),
          .repeats = static_cast<int>(times.size())};
}

Timing time_repeated(const Clock& clock, const Repeats& repeats, const std::function<void()>& body) {
  body();
  std::vector<double> times;
  const TimePoint begin = clock.now();
  while (std::ssize(times) < repeats.least || seconds(clock.now() - begin) < repeats.seconds) {
    const TimePoint start = clock.now();
    body();
    times.push_back(seconds(clock.now() - start));
  }
  return summarize(times);
}

}  // namespace troupe::benchmarks
