#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "comm/control/messages/messages.h"

namespace troupe::coordinator {

/// Notices workers that do not get on although their heartbeats come: nothing of any of them has moved for
/// longer than it ever should. How long that is follows from the steps that were measured. Without links or
/// timers.
class StallWatch {
 public:
  /// shortest: time without a move that counts, however short steps are; zero: none ever does.
  explicit StallWatch(Duration shortest) : shortest_(shortest) {}

  /// All workers are here: from now on they are expected to move.
  void begin(TimePoint now);
  void heard(const comm::WorkerActive& activity, TimePoint now);
  /// Of worker 0.
  void step_finished(TimePoint now);
  /// Any other sign of a worker that is no heartbeat.
  void moved(TimePoint now);
  /// This process itself stood still: that time does not count.
  void forgive(TimePoint now);

  /// How long nothing has moved, once that is too long.
  [[nodiscard]] std::optional<Duration> stalled(TimePoint now) const;
  /// Between two steps, of those measured last; zero before any was.
  [[nodiscard]] Duration median_step() const;

 private:
  struct Seen {
    std::int64_t moves = 0;
    std::string activity;
    bool operator==(const Seen&) const = default;
  };
  [[nodiscard]] Duration limit() const;

  Duration shortest_;
  std::optional<TimePoint> last_move_;
  std::map<std::int64_t, Seen> ranks_;
  std::optional<TimePoint> last_step_;
  std::deque<Duration> steps_;
};

}  // namespace troupe::coordinator
