#include "comm/control/link/silence.h"

#include <gtest/gtest.h>

namespace troupe::comm {
namespace {

using namespace std::chrono_literals;

/// Asks once per second for a while; the first second at which the peer counts as silent, or -1.
int silent_after(SilenceDetector& detector, ManualClock& clock, int seconds_long) {
  for (int second = 1; second <= seconds_long; ++second) {
    clock.advance(1s);
    if (detector.is_silent(clock.now())) return second;
  }
  return -1;
}

TEST(SilenceDetector, CountsFromTheLastSign) {
  ManualClock clock;
  SilenceDetector detector(30s, 1s);
  detector.heard(clock.now());
  EXPECT_EQ(silent_after(detector, clock, 20), -1);
  detector.heard(clock.now());
  EXPECT_EQ(silent_after(detector, clock, 60), 31);
}

TEST(SilenceDetector, DoesNotBlameThePeerForItsOwnSleep) {
  ManualClock clock;
  SilenceDetector detector(30s, 1s);
  detector.heard(clock.now());
  EXPECT_EQ(silent_after(detector, clock, 20), -1);
  clock.advance(1h);
  EXPECT_FALSE(detector.is_silent(clock.now()));
  EXPECT_EQ(silent_after(detector, clock, 60), 31);
}

}  // namespace
}  // namespace troupe::comm
