#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string_view>

#include "base/signals.h"
#include "comm/collectives/mpi/mpi_environment.h"
#include "tests/comm/collectives/backend.h"
#include "tests/comm/collectives/watchdog.h"

namespace troupe::comm::testing {
namespace {

Communicator* world = nullptr;
Watchdog* watchdog = nullptr;

/// Only failures, and with the rank: one rank's full report is enough.
class FailurePrinter final : public ::testing::EmptyTestEventListener {
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "rank %d: %s:%d: %s\n", world->rank(), result.file_name(), result.line_number(),
                 result.summary());
  }
};

/// `--fail` instead of the tests: this rank throws while its peers wait for it.
void fail_on_rank_1() {
  if (world->rank() == 1) throw std::runtime_error("rank 1 fails on purpose");
  world->barrier();
}

int run(int argc, char** argv) {
  MpiEnvironment environment;
  const auto communicator = make_mpi_communicator(environment);
  Watchdog dog(environment.rank(), std::chrono::seconds(20));
  world = communicator.get();
  watchdog = &dog;
  if (argc > 1 && std::string_view(argv[1]) == "--fail") fail_on_rank_1();
  if (world->rank() > 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter);
  }
  return RUN_ALL_TESTS();
}

}  // namespace

void now_in(std::string_view operation) { watchdog->now_in(operation); }

void on_every_group(const std::function<void(Communicator&)>& body) {
  body(*world);
  now_in("splitting off the last rank");
  const auto part = world->split(world->rank() == world->size() - 1 ? 1 : 0, 0);
  body(*part);
  now_in("the barrier after a property");
  world->barrier();
}

}  // namespace troupe::comm::testing

int main(int argc, char** argv) {
  troupe::signals::take_over();
  ::testing::InitGoogleTest(&argc, argv);
  try {
    return troupe::comm::testing::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
