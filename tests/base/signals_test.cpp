#include "base/signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <future>
#include <thread>

#include "base/error.h"

namespace troupe::signals {
namespace {

constexpr std::chrono::milliseconds kLong{30000};
constexpr std::chrono::milliseconds kNow{0};

/// A line of /proc/self/task/THREAD/status, as bits: bit n - 1 is signal n.
std::uint64_t mask_of_this_thread(const std::string& name) {
  std::ifstream file(fmt::format("/proc/self/task/{}/status", ::gettid()));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) return std::stoull(line.substr(name.size() + 1), nullptr, 16);
  }
  throw Error(ErrorCode::kInternal, "no {}", name);
}

bool contains(std::uint64_t mask, int signal) { return (mask >> (signal - 1) & 1U) != 0; }

TEST(Signals, ArriveAsValues) {
  Queue queue(kStopSignals);
  for (const int signal : kStopSignals) {
    ASSERT_EQ(::kill(::getpid(), signal), 0);
    EXPECT_EQ(queue.wait(kLong), signal) << name_of(signal);
  }
  EXPECT_EQ(queue.wait(kNow), std::nullopt);
}

TEST(Signals, AnotherThreadWakesAQueue) {
  Queue queue(kStopSignals);
  std::thread other([&] { queue.wake(); });
  EXPECT_EQ(queue.wait(kLong), std::nullopt);
  other.join();
}

TEST(Signals, EveryListenerIsToldInTheOrderInWhichTheyWereMade) {
  std::atomic<bool> first_was_told = false;
  const Listener first(kStopSignals, [&](int) { first_was_told = true; });
  Queue second(kStopSignals);
  ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
  EXPECT_EQ(second.wait(kLong), SIGTERM);
  EXPECT_TRUE(first_was_told);
}

TEST(Signals, NoThreadCanBeInterruptedAndTheCallbackIsOnAThreadOfItsOwn) {
  std::promise<pid_t> receiver;
  const Listener listener(kStopSignals, [&](int) { receiver.set_value(::gettid()); });
  std::thread([] {
    const std::uint64_t blocked = mask_of_this_thread("SigBlk");
    for (const int signal : kStopSignals) EXPECT_TRUE(contains(blocked, signal)) << name_of(signal);
    EXPECT_TRUE(contains(blocked, SIGALRM));
    EXPECT_FALSE(contains(blocked, SIGSEGV));
    EXPECT_TRUE(contains(mask_of_this_thread("SigIgn"), SIGPIPE));
  }).join();
  ASSERT_EQ(::kill(::getpid(), SIGUSR2), 0);
  EXPECT_NE(receiver.get_future().get(), ::gettid());
}

TEST(SignalsDeathTest, ASignalThatNobodyListensToHasItsEffect) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGALRM}) {
    EXPECT_EXIT(
        {
          ::kill(::getpid(), signal);
          for (;;) ::pause();
        },
        testing::KilledBySignal(signal), "");
  }
}

TEST(SignalsDeathTest, AFaultIsNamed) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "SKIPPED: the sanitizer reports faults itself";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(::raise(SIGSEGV), testing::KilledBySignal(SIGSEGV), "troupe: segmentation fault at address 0x");
}

TEST(Signals, HaveNames) {
  EXPECT_EQ(name_of(SIGTERM), "SIGTERM");
  EXPECT_EQ(name_of(SIGRTMIN + 1), "signal " + std::to_string(SIGRTMIN + 1));
}

}  // namespace
}  // namespace troupe::signals
