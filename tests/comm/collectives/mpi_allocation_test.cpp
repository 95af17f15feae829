// What a step calls again and again allocates nothing of ours once it has done so before.
#include <gtest/gtest.h>

#include <vector>

#include "tests/comm/collectives/backend.h"
#include "tests/performance/allocation_counter.h"

namespace troupe::comm::testing {
namespace {

template <class Body>
std::int64_t allocations_of_second(const Body& body) {
  body();
  const test::AllocationCounter counter;  // MPI has its memory from malloc
  body();
  return counter.count();
}

TEST(MpiAllocation, ExchangesAreStartedInMemoryThatIsThere) {
  on_every_group([](Communicator& group) {
    now_in("counting allocations");
    const auto size = static_cast<std::size_t>(group.size());
    const std::vector<std::byte> send(size * 3);
    std::vector<std::byte> receive(size * 3);
    const std::vector<std::int64_t> bytes(size, 3);
    EXPECT_GT(allocations_of_second([&] { static_cast<void>(group.split(0, 0)); }), 0)
        << "nothing is counted";
    EXPECT_EQ(allocations_of_second([&] { group.all_to_all_v({send, bytes}, {receive, bytes}); }), 0);
    EXPECT_EQ(allocations_of_second([&] {
                Pending first = group.start_all_to_all_v({send, bytes}, {receive, bytes});
                Pending second = group.start_all_to_all_v({send, bytes}, {receive, bytes});
                while (!first.progress()) continue;
              }),
              0);
    EXPECT_EQ(allocations_of_second([&] {
                group.all_gather_v(std::span(send).first(3), {receive, bytes});
              }),
              0);
  });
}

}  // namespace
}  // namespace troupe::comm::testing
