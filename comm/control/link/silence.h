#pragma once
#include "base/clock.h"

namespace troupe::comm {

/// Tells a silent peer from a sleep of one's own: when this process stood still (stopped, suspended,
/// starved), what the peer said meanwhile is still unread, so the peer's deadline starts anew.
class SilenceDetector {
 public:
  /// limit: silence of the peer that counts; interval: how often is_silent() is going to be asked.
  SilenceDetector(Duration limit, Duration interval) : limit_(limit), interval_(interval) {}

  void heard(TimePoint now) { last_heard_ = now; }

  [[nodiscard]] bool is_silent(TimePoint now) {
    const bool slept = now - last_asked_ > kMissedIntervals * interval_;
    last_asked_ = now;
    if (slept) last_heard_ = now;
    return now - last_heard_ > limit_;
  }

 private:
  static constexpr int kMissedIntervals = 8;

  Duration limit_;
  Duration interval_;
  TimePoint last_heard_;
  TimePoint last_asked_;
};

}  // namespace troupe::comm
