#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <vector>

#include "comm/collectives/broadcast_text.h"
#include "comm/collectives/communicator.h"
#include "tests/comm/collectives/backend.h"

namespace troupe::comm::testing {
namespace {

using Bytes = std::vector<std::byte>;
using Sizes = std::vector<std::int64_t>;

/// Byte `index` of what `from` sends to `to`: all different enough to notice a swapped block.
std::byte pattern(int from, int to, std::int64_t index) {
  return static_cast<std::byte>((from * 89 + to * 31 + index * 7 + 5) & 0xFF);
}

struct Exchange {
  Sizes send_sizes, receive_sizes;
  Bytes send, receive;

  /// bytes(from, to): size of that block.
  template <class SizeOf>
  Exchange(const Communicator& group, const SizeOf& bytes) {
    for (int peer = 0; peer < group.size(); ++peer) {
      send_sizes.push_back(bytes(group.rank(), peer));
      receive_sizes.push_back(bytes(peer, group.rank()));
      for (std::int64_t i = 0; i < send_sizes.back(); ++i) send.push_back(pattern(group.rank(), peer, i));
    }
    receive.resize(
        static_cast<std::size_t>(std::accumulate(receive_sizes.begin(), receive_sizes.end(), 0LL)));
  }
  [[nodiscard]] SendBlocks to_send() const { return {send, send_sizes}; }
  [[nodiscard]] ReceiveBlocks to_receive() { return {receive, receive_sizes}; }
  [[nodiscard]] Bytes expected(int rank) const {
    Bytes bytes;
    for (std::size_t peer = 0; peer < receive_sizes.size(); ++peer)
      for (std::int64_t i = 0; i < receive_sizes[peer]; ++i)
        bytes.push_back(pattern(static_cast<int>(peer), rank, i));
    return bytes;
  }
};

std::int64_t uneven(int from, int to) { return (from * 3 + to * 5) % 4 == 0 ? 0 : from * 40 + to * 1000 + 1; }

TEST(Collectives, AllToAllBringsEveryBlockInRankOrder) {
  on_every_group([](Communicator& group) {
    now_in("all_to_all_v with uneven blocks");
    Exchange exchange(group, uneven);
    group.all_to_all_v(exchange.to_send(), exchange.to_receive());
    EXPECT_EQ(exchange.receive, exchange.expected(group.rank()));
  });
}

TEST(Collectives, AllToAllWithNothingToSendCompletes) {
  on_every_group([](Communicator& group) {
    now_in("all_to_all_v with empty blocks");
    Exchange exchange(group, [](int, int) { return 0; });
    group.all_to_all_v(exchange.to_send(), exchange.to_receive());
    EXPECT_TRUE(exchange.receive.empty());
  });
}

TEST(Collectives, LargeBlocksArriveWhole) {
  on_every_group([](Communicator& group) {
    now_in("all_to_all_v with 300 KB blocks");
    Exchange exchange(group, [](int from, int to) { return 300'000 + from * 7 + to; });
    group.all_to_all_v(exchange.to_send(), exchange.to_receive());
    EXPECT_EQ(exchange.receive, exchange.expected(group.rank()));
  });
}

TEST(Collectives, ProgressAloneCompletesAnExchange) {
  on_every_group([](Communicator& group) {
    now_in("progress() of all_to_all_v");
    Exchange exchange(group, uneven);
    Pending pending = group.start_all_to_all_v(exchange.to_send(), exchange.to_receive());
    for (int i = 0; i < 10; ++i) pending.progress();
    pending.wait();
    pending.wait();  // nothing left to wait for
    pending.progress();
    EXPECT_EQ(exchange.receive, exchange.expected(group.rank()));
  });
}

TEST(Collectives, SeveralExchangesAndOtherOperationsOverlap) {
  on_every_group([](Communicator& group) {
    now_in("two exchanges under way around an all_reduce_sum");
    Exchange first(group, uneven);
    Exchange second(group, [](int from, int to) { return from + 10 * to; });
    Pending pending_first = group.start_all_to_all_v(first.to_send(), first.to_receive());
    Pending pending_second = group.start_all_to_all_v(second.to_send(), second.to_receive());
    std::int64_t ranks = 1;
    group.all_reduce_sum({&ranks, 1});
    EXPECT_EQ(ranks, group.size());
    pending_second.wait();
    pending_first.wait();
    EXPECT_EQ(first.receive, first.expected(group.rank()));
    EXPECT_EQ(second.receive, second.expected(group.rank()));
  });
}

TEST(Collectives, DestructionOfPendingCompletesTheExchange) {
  on_every_group([](Communicator& group) {
    now_in("the destructor of Pending");
    Exchange exchange(group, uneven);
    { const Pending pending = group.start_all_to_all_v(exchange.to_send(), exchange.to_receive()); }
    EXPECT_EQ(exchange.receive, exchange.expected(group.rank()));
  });
}

TEST(Collectives, AllGatherBringsEveryBlockEverywhere) {
  on_every_group([](Communicator& group) {
    now_in("all_gather_v");
    const auto size_of = [](int rank) { return rank % 3 == 1 ? 0 : 5 + rank; };
    Bytes mine, expected;
    Sizes sizes;
    for (int peer = 0; peer < group.size(); ++peer) {
      sizes.push_back(size_of(peer));
      for (std::int64_t i = 0; i < sizes.back(); ++i) {
        expected.push_back(pattern(peer, 0, i));
        if (peer == group.rank()) mine.push_back(expected.back());
      }
    }
    Bytes received(expected.size());
    group.all_gather_v(mine, {received, sizes});
    EXPECT_EQ(received, expected);
  });
}

TEST(Collectives, IntegerReductionsAreExact) {
  on_every_group([](Communicator& group) {
    now_in("all_reduce_sum and all_reduce_max");
    const std::int64_t large = 1LL << 53;  // a double would lose the ones
    std::vector<std::int64_t> sums{large + group.rank(), -group.rank(), 1};
    std::vector<std::int64_t> maxima{group.rank(), -group.rank(), large};
    group.all_reduce_sum(sums);
    group.all_reduce_max(maxima);
    const std::int64_t size = group.size();
    const std::int64_t ranks = size * (size - 1) / 2;
    EXPECT_EQ(sums, (std::vector<std::int64_t>{large * size + ranks, -ranks, size}));
    EXPECT_EQ(maxima, (std::vector<std::int64_t>{size - 1, 0, large}));
    group.all_reduce_sum({});
  });
}

TEST(Collectives, BroadcastCopiesFromEveryRoot) {
  on_every_group([](Communicator& group) {
    for (int root = 0; root < group.size(); ++root) {
      now_in("broadcast");
      Bytes data(1000, pattern(group.rank(), 1, 0));
      group.broadcast(data, root);
      EXPECT_EQ(data, Bytes(1000, pattern(root, 1, 0)));
    }
  });
}

TEST(Collectives, TextIsBroadcastWithItsLength) {
  on_every_group([](Communicator& group) {
    now_in("broadcast_text");
    const int root = group.size() - 1;
    EXPECT_EQ(broadcast_text(group, group.rank() == root ? "a text" : "", root), "a text");
    EXPECT_EQ(broadcast_text(group, group.rank() == root ? "" : "ignored", root), "");
  });
}

/// A file that every rank of a group appends to: what one rank did is seen by the others at once, without
/// a message. All ranks of a test are on one host.
class SharedFile {
 public:
  explicit SharedFile(Communicator& group) : is_owner_(group.rank() == 0) {
    static std::atomic<int> made = 0;
    const std::string mine = fmt::format("{}troupe_barrier_{}_{}", ::testing::TempDir(), ::getpid(), made++);
    path_ = broadcast_text(group, mine, 0);
    file_ = ::open(path_.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  }
  ~SharedFile() {
    ::close(file_);
    if (is_owner_) std::filesystem::remove(path_);
  }
  SharedFile(const SharedFile&) = delete;
  SharedFile& operator=(const SharedFile&) = delete;

  void append_byte() const { ASSERT_EQ(::write(file_, "x", 1), 1); }
  [[nodiscard]] int bytes() const { return static_cast<int>(std::filesystem::file_size(path_)); }

 private:
  bool is_owner_;
  std::string path_;
  int file_;
};

TEST(Collectives, BarrierHoldsUntilAllCame) {
  constexpr int kRounds = 20;
  constexpr int kBytesOfTheLast = 200;  // one rank of a round comes late, since it has more to do
  on_every_group([](Communicator& group) {
    now_in("barrier");
    const SharedFile arrivals(group);
    group.barrier();  // it is there
    for (int round = 0; round < kRounds; ++round) {
      const int mine = round % group.size() == group.rank() ? kBytesOfTheLast : 1;
      for (int byte = 0; byte < mine; ++byte) arrivals.append_byte();
      group.barrier();
      EXPECT_EQ(arrivals.bytes(), (round + 1) * (kBytesOfTheLast + group.size() - 1)) << "round " << round;
      group.barrier();  // nobody writes while another counts
    }
  });
}

TEST(Collectives, HostsNameTheHostOfEveryRank) {
  on_every_group([](Communicator& group) {
    now_in("hosts");
    // All ranks of a test are on one host.
    EXPECT_EQ(group.hosts(), std::vector<int>(static_cast<std::size_t>(group.size()), 0));
  });
}

TEST(Collectives, SplitMakesGroupsByColorOrderedByKey) {
  on_every_group([](Communicator& group) {
    now_in("split");
    const int color = group.rank() % 2;
    const auto part = group.split(color, -group.rank());  // reversed
    const int members = (group.size() + 1 - color) / 2;
    EXPECT_EQ(part->size(), members);
    EXPECT_EQ(part->rank(), members - 1 - group.rank() / 2);
    EXPECT_EQ(part->backend(), group.backend());
    now_in("all_reduce_sum of a split group");
    std::int64_t sum = group.rank();
    part->all_reduce_sum({&sum, 1});
    std::int64_t expected = 0;
    for (int rank = color; rank < group.size(); rank += 2) expected += rank;
    EXPECT_EQ(sum, expected);
    now_in("the whole group beside its parts");
    group.barrier();
  });
}

TEST(Collectives, EqualKeysKeepTheRankOrder) {
  on_every_group([](Communicator& group) {
    now_in("split with equal keys");
    const auto same = group.split(7, 0);
    EXPECT_EQ(same->rank(), group.rank());
    EXPECT_EQ(same->size(), group.size());
  });
}

TEST(Collectives, BlockSizesThatDoNotFillTheBufferAreRefusedBeforeAnythingIsSent) {
  on_every_group([](Communicator& group) {
    now_in("block sizes that do not fit the buffer");
    const Bytes data(3);
    Bytes receive(static_cast<std::size_t>(group.size()));
    const Sizes ones(static_cast<std::size_t>(group.size()), 1);
    const Sizes many(static_cast<std::size_t>(group.size()), 4);
    const Sizes negative(static_cast<std::size_t>(group.size()), -1);
    EXPECT_ANY_THROW(group.all_to_all_v({data, many}, {receive, ones}));
    EXPECT_ANY_THROW(group.all_to_all_v({data, negative}, {receive, ones}));
    EXPECT_ANY_THROW(group.all_to_all_v({data, {}}, {receive, ones}));
    group.barrier();  // still usable
  });
}

}  // namespace
}  // namespace troupe::comm::testing
