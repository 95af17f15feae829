#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "base/error.h"
#include "tests/comm/collectives/threads.h"

namespace troupe::comm::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Bytes = std::vector<std::byte>;
using Sizes = std::vector<std::int64_t>;

/// What a rank threw; nothing when it ended well.
std::optional<Error> error_of(const std::exception_ptr& thrown) {
  if (!thrown) return std::nullopt;
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& other) {
    return Error(ErrorCode::kInternal, "another exception: {}", other.what());
  }
}

struct PeerFailure : std::runtime_error {
  PeerFailure() : std::runtime_error("rank 1 fails on purpose") {}
};

/// Rank 1 throws instead of doing what the others do.
void expect_peer_lost(const char* operation, const std::function<void(Communicator&)>& body) {
  const auto thrown = run_ranks(3, [&](Communicator& group) {
    if (group.rank() == 1) throw PeerFailure();
    body(group);
  });
  for (const std::size_t rank : {0U, 2U}) {
    const auto error = error_of(thrown[rank]);
    ASSERT_TRUE(error) << operation << " ended well on rank " << rank;
    EXPECT_EQ(error->code(), ErrorCode::kPeerLost);
    EXPECT_THAT(error->what(), AllOf(HasSubstr("rank 1 of 3"), HasSubstr(operation)));
  }
}

TEST(InprocFailure, EveryOperationEndsWhenAPeerThrows) {
  expect_peer_lost("barrier", [](Communicator& group) { group.barrier(); });
  expect_peer_lost("all_reduce_max", [](Communicator& group) {
    std::int64_t value = 1;
    group.all_reduce_max({&value, 1});
  });
  expect_peer_lost("broadcast", [](Communicator& group) {
    Bytes data(8);
    group.broadcast(data, 0);
  });
  expect_peer_lost("split", [](Communicator& group) { static_cast<void>(group.split(0, 0)); });
  expect_peer_lost("all_gather_v", [](Communicator& group) {
    const Bytes mine(1);
    Bytes all(3);
    group.all_gather_v(mine, {all, Sizes{1, 1, 1}});
  });
  expect_peer_lost("all_to_all_v", [](Communicator& group) {
    const Bytes send(3);
    Bytes receive(3);
    group.all_to_all_v({send, Sizes{1, 1, 1}}, {receive, Sizes{1, 1, 1}});
  });
}

TEST(InprocFailure, AThrowWhileAnExchangeIsUnderWayEndsThePeers) {
  const auto thrown = run_ranks(3, [](Communicator& group) {
    const Bytes send(3);
    Bytes receive(3);
    const Sizes ones{1, 1, 1};
    Pending pending = group.start_all_to_all_v({send, ones}, {receive, ones});
    if (group.rank() == 2) throw PeerFailure();
    group.barrier();
    pending.wait();
  });
  for (const std::size_t rank : {0U, 1U}) {
    const auto error = error_of(thrown[rank]);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::kPeerLost);
    EXPECT_THAT(error->what(), HasSubstr("rank 2 of 3"));
  }
}

TEST(InprocFailure, ALeftRankEndsTheGroupsThatWereSplitOff) {
  const auto thrown = run_ranks(4, [](Communicator& group) {
    const auto half = group.split(group.rank() / 2, 0);
    if (group.rank() == 3) throw PeerFailure();
    half->barrier();
  });
  EXPECT_FALSE(error_of(thrown[0]));
  EXPECT_FALSE(error_of(thrown[1]));
  ASSERT_TRUE(error_of(thrown[2]));
  EXPECT_THAT(error_of(thrown[2])->what(), AllOf(HasSubstr("rank 1 of 2"), HasSubstr("barrier")));
}

TEST(InprocFailure, SizesThatDoNotMatchNameRanksAndSizes) {
  const auto thrown = run_ranks(2, [](Communicator& group) {
    const Bytes send(7);
    Bytes receive(group.rank() == 1 ? 9 : 6);
    const Sizes receive_sizes = group.rank() == 1 ? Sizes{5, 4} : Sizes{3, 3};
    group.all_to_all_v({send, Sizes{3, 4}}, {receive, receive_sizes});
  });
  for (const auto& rank : thrown) {
    const auto error = error_of(rank);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::kInternal);
    EXPECT_THAT(error->what(), HasSubstr("all_to_all_v: rank 0 sends 4 bytes to rank 1, which expects 5"));
  }
}

TEST(InprocFailure, DifferentOperationsAreNamed) {
  const auto thrown = run_ranks(2, [](Communicator& group) {
    std::int64_t value = 0;
    if (group.rank() == 0) {
      group.barrier();
    } else {
      group.all_reduce_sum({&value, 1});
    }
  });
  for (const auto& rank : thrown) {
    ASSERT_TRUE(error_of(rank));
    EXPECT_THAT(error_of(rank)->what(), AllOf(HasSubstr("barrier"), HasSubstr("all_reduce_sum")));
  }
}

TEST(InprocFailure, ValueCountsThatDoNotMatchAreNamed) {
  const auto thrown = run_ranks(2, [](Communicator& group) {
    std::vector<std::int64_t> values(static_cast<std::size_t>(group.rank() + 3));
    group.all_reduce_sum(values);
  });
  ASSERT_TRUE(error_of(thrown[0]));
  EXPECT_THAT(error_of(thrown[0])->what(), AllOf(HasSubstr("3"), HasSubstr("4")));
}

TEST(InprocFailure, ARankMayLeaveOnceItsOperationsAreDone) {
  for (int repeat = 0; repeat < 50; ++repeat) {
    const auto thrown = run_ranks(4, [](Communicator& group) {
      group.barrier();
      std::int64_t value = 1;
      group.all_reduce_sum({&value, 1});
      EXPECT_EQ(value, 4);
    });
    for (const auto& rank : thrown) EXPECT_FALSE(rank);
  }
}

}  // namespace
}  // namespace troupe::comm::testing
