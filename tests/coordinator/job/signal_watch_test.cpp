#include "coordinator/job/signal_watch.h"

#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "base/error.h"

namespace troupe::coordinator {
namespace {

constexpr std::chrono::milliseconds kLong{30000};
constexpr std::chrono::milliseconds kNow{0};

TEST(SignalWatch, TurnsSignalsIntoValuesInTheirOrder) {
  SignalWatch watch;
  ::raise(SIGUSR1);
  ::raise(SIGTERM);
  EXPECT_EQ(watch.wait(kLong), SIGUSR1);
  EXPECT_EQ(watch.wait(kLong), SIGTERM);
  EXPECT_EQ(watch.wait(kNow), std::nullopt);
}

TEST(SignalWatch, AnotherThreadWakesIt) {
  SignalWatch watch;
  std::thread other([&] { watch.wake(); });
  EXPECT_EQ(watch.wait(kLong), std::nullopt);
  other.join();
}

TEST(SignalWatch, PutsTheFormerHandlersBack) {
  struct sigaction before {};
  struct sigaction after {};
  ASSERT_EQ(::sigaction(SIGTERM, nullptr, &before), 0);
  { const SignalWatch watch; }
  ASSERT_EQ(::sigaction(SIGTERM, nullptr, &after), 0);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

TEST(SignalWatch, ThereIsOneAtATime) {
  const SignalWatch watch;
  EXPECT_THROW(SignalWatch{}, Error);
}

}  // namespace
}  // namespace troupe::coordinator
