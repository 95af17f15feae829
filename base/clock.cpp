#include "base/clock.h"

namespace troupe {

TimePoint SystemClock::now() const { return std::chrono::steady_clock::now(); }

double SystemClock::wall_seconds() const {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace troupe
