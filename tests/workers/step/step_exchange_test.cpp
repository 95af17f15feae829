#include "workers/step/step_exchange.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "comm/collectives/inproc/inproc_communicator.h"

namespace troupe::workers {
namespace {

// Runs body(exchange, rank) on `workers` ranks, reduces, and returns rank 0's exchange.
template <class Body>
StepExchange exchange_on(int workers, std::int64_t counts, std::int64_t sums, const Body& body) {
  StepExchange result(counts, sums, workers);
  auto group = comm::make_inproc_group(workers);
  std::vector<std::jthread> threads;
  for (auto& communicator : group) {
    threads.emplace_back([&, world = std::move(communicator)] {
      StepExchange mine(counts, sums, workers);
      body(mine, world->rank());
      mine.reduce(*world);
      if (world->rank() == 0) result = mine;
    });
  }
  threads.clear();
  return result;
}

TEST(StepExchange, CountsAreSummed) {
  auto exchange = exchange_on(3, 2, 0, [](StepExchange& mine, int rank) { mine.counts()[1] += rank + 1; });
  EXPECT_EQ(exchange.counts()[0], 0);
  EXPECT_EQ(exchange.counts()[1], 6);
}

TEST(StepExchange, SumsOfAllWorkersAreExact) {
  // Each alone would be lost beside 1e300; worker 4 takes that away again.
  const std::vector<double> values{1e300, 0.1, -3.0, 5e-324, -1e300};
  const auto exchange = exchange_on(
      5, 1, 2, [&](StepExchange& mine, int rank) { mine.add(1, values[static_cast<std::size_t>(rank)]); });
  EXPECT_EQ(exchange.sum(0), 0.0);
  EXPECT_EQ(exchange.sum(1), 0.1 - 3.0);
}

TEST(StepExchange, DoesNotGrowWithTheValuesAddedAndByTwoWordsWithAWorker) {
  EXPECT_EQ(StepExchange::words(10, 3, 1025) - StepExchange::words(10, 3, 1024), 2);
  EXPECT_LT(StepExchange::words(0, 1, 0), 100);
}

TEST(StepExchange, ControlWordsAreTheMaximumFieldByField) {
  const auto exchange = exchange_on(3, 1, 1, [](StepExchange& mine, int rank) {
    mine.set_control(rank, {.stop = rank == 1 ? 1 : 0, .plan_version = 7 - rank});
  });
  EXPECT_EQ(exchange.control(), (ControlWord{.stop = 1, .plan_version = 7}));
}

TEST(StepExchange, ClearForgetsTheStepBefore) {
  StepExchange exchange(1, 1, 1);
  exchange.counts()[0] = 5;
  exchange.add(0, 2.0);
  exchange.set_control(0, {.stop = 1});
  exchange.clear();
  EXPECT_EQ(exchange.counts()[0], 0);
  EXPECT_EQ(exchange.sum(0), 0.0);
  EXPECT_EQ(exchange.control(), ControlWord{});
}

}  // namespace
}  // namespace troupe::workers
