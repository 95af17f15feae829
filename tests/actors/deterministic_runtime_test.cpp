#include "actors/deterministic_runtime.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "actors/actor.h"

namespace troupe::actors {
namespace {

using namespace std::chrono_literals;

struct Work {
  int left = 0;
};
using WorkerApi = Accepts<Work>;

/// Writes its name at each message, and sends itself the next one.
class Scribe : public Actor<WorkerApi> {
 public:
  Scribe(char letter, std::string& log) : letter_(letter), log_(log) {}
  void on(const Work& work) override {
    log_ += letter_;
    if (work.left == 0) return;
    EXPECT_EQ(self().send(Work{work.left - 1}), Delivery::kDelivered);
  }

 private:
  char letter_;
  std::string& log_;
};

std::string interleaving(std::uint64_t seed) {
  std::string log;
  DeterministicRuntime runtime(seed);
  for (const char letter : {'a', 'b', 'c'}) {
    const auto scribe =
        runtime.spawn(std::string(1, letter), [=, &log] { return std::make_unique<Scribe>(letter, log); });
    EXPECT_EQ(scribe.send(Work{9}), Delivery::kDelivered);
  }
  runtime.run_until_idle();
  return log;
}

TEST(DeterministicRuntime, RepeatsARunFromItsSeed) { EXPECT_EQ(interleaving(3), interleaving(3)); }

TEST(DeterministicRuntime, InterleavesDifferentlyForDifferentSeeds) {
  std::set<std::string> orders;
  for (std::uint64_t seed = 0; seed < 20; ++seed) orders.insert(interleaving(seed));
  EXPECT_GE(orders.size(), 19U);
  for (const std::string& order : orders) EXPECT_EQ(order.size(), 30U);
}

using TickerApi = Accepts<Work>;

class Ticker : public Actor<TickerApi> {
 public:
  Ticker(Duration period, std::vector<double>& times) : period_(period), times_(times) {}
  void started() override { send_later(period_, Work{}); }
  void on(const Work&) override {
    times_.push_back(seconds(now().time_since_epoch()));
    send_later(period_, Work{});
  }

 private:
  Duration period_;
  std::vector<double>& times_;
};

TEST(DeterministicRuntime, RunsAnHourOfTimersAtTheirTimes) {
  std::vector<double> times;
  DeterministicRuntime runtime(1);
  runtime.spawn("ticker", [&] { return std::make_unique<Ticker>(15min, times); });
  runtime.run_for(1h);
  EXPECT_EQ(times, (std::vector<double>{900, 1800, 2700, 3600}));
  EXPECT_EQ(runtime.clock().now().time_since_epoch(), 1h);
}

TEST(DeterministicRuntime, IdleMeansThatOnlyTheFutureWaits) {
  std::vector<double> times;
  DeterministicRuntime runtime(1);
  runtime.spawn("ticker", [&] { return std::make_unique<Ticker>(1s, times); });
  runtime.run_until_idle();
  EXPECT_TRUE(times.empty());
}

TEST(DeterministicRuntime, RunsUntilAConditionHolds) {
  std::vector<double> times;
  DeterministicRuntime runtime(1);
  runtime.spawn("ticker", [&] { return std::make_unique<Ticker>(1s, times); });
  EXPECT_TRUE(runtime.run_until([&] { return times.size() == 5; }, 1h));
  EXPECT_EQ(runtime.clock().now().time_since_epoch(), 5s);
  EXPECT_FALSE(runtime.run_until([&] { return times.size() == 100; }, 10s));
  EXPECT_EQ(runtime.clock().now().time_since_epoch(), 15s);
}

TEST(DeterministicRuntime, RefusesWhenAMailboxIsFull) {
  std::string log;
  DeterministicRuntime runtime(1);
  const auto scribe =
      runtime.spawn("a", [&] { return std::make_unique<Scribe>('a', log); }, {.mailbox_capacity = 2});
  EXPECT_EQ(scribe.send(Work{}), Delivery::kDelivered);
  EXPECT_EQ(scribe.send(Work{}), Delivery::kDelivered);
  EXPECT_EQ(scribe.send(Work{}), Delivery::kFull);
  runtime.run_until_idle();
  EXPECT_EQ(scribe.send(Work{}), Delivery::kDelivered);
  EXPECT_EQ(log, "aa");
}

TEST(DeterministicRuntime, DelaysMessagesByVirtualTimeOnly) {
  std::string log;
  DeterministicRuntime runtime(5, 10ms);
  const auto scribe = runtime.spawn("a", [&] { return std::make_unique<Scribe>('a', log); });
  EXPECT_EQ(scribe.send(Work{99}), Delivery::kDelivered);
  runtime.run_until_idle();
  EXPECT_EQ(log.size(), 100U);
  EXPECT_GT(runtime.clock().now().time_since_epoch(), 100ms);
  EXPECT_LE(runtime.clock().now().time_since_epoch(), 1010ms);
}

class Moody : public Actor<WorkerApi> {
 public:
  void on(const Work&) override { throw Error(ErrorCode::kIo, "moody"); }
};

TEST(DeterministicRuntime, ForgetsRestartsOutsideOfTheWindow) {
  DeterministicRuntime runtime(1);
  const auto moody = runtime.spawn("moody", [] { return std::make_unique<Moody>(); },
                                   {.max_restarts = 1, .restart_window = 10s});
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(moody.send(Work{}), Delivery::kDelivered);
    runtime.run_for(11s);
  }
  EXPECT_EQ(moody.send(Work{}), Delivery::kDelivered);
  EXPECT_EQ(moody.send(Work{}), Delivery::kDelivered);
  EXPECT_THROW(runtime.run_until_idle(), Error);
}

/// Passes a message around a ring.
class Relay : public Actor<WorkerApi> {
 public:
  explicit Relay(const std::vector<Address<WorkerApi>>& ring, std::size_t position, std::int64_t& hops)
      : ring_(ring), position_(position), hops_(hops) {}
  void on(const Work& work) override {
    ++hops_;
    if (work.left > 0) {
      EXPECT_EQ(ring_[(position_ + 1) % ring_.size()].send(Work{work.left - 1}), Delivery::kDelivered);
    }
  }

 private:
  const std::vector<Address<WorkerApi>>& ring_;
  std::size_t position_;
  std::int64_t& hops_;
};

TEST(DeterministicRuntime, RunsThousandsOfActors) {
  constexpr std::size_t kActors = 5000;
  std::int64_t hops = 0;
  std::vector<Address<WorkerApi>> ring;
  DeterministicRuntime runtime(1);
  for (std::size_t i = 0; i < kActors; ++i) {
    ring.push_back(runtime.spawn("relay", [&, i] { return std::make_unique<Relay>(ring, i, hops); }));
  }
  for (const auto& relay : ring) EXPECT_EQ(relay.send(Work{9}), Delivery::kDelivered);
  runtime.run_until_idle();
  EXPECT_EQ(hops, 10 * static_cast<std::int64_t>(kActors));
}

}  // namespace
}  // namespace troupe::actors
