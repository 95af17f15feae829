// One property for every exchange: rows arrive by source, in order, whichever way they went.
#include "experts/dispatch/exchange.h"

#include <gtest/gtest.h>

#include "experts/dispatch/nodes.h"
#include "tests/experts/dispatch/counting_communicator.h"
#include "tests/experts/ranks.h"
#include "tests/experts/test_pass.h"

namespace troupe::experts {
namespace {

using layout::DispatchOptions;
using layout::DispatchType;

constexpr std::int64_t kColumns = 3;

/// Uneven, with empty blocks.
std::vector<std::int64_t> row_counts(int size) {
  std::vector<std::int64_t> rows;
  for (int from = 0; from < size; ++from) {
    for (int to = 0; to < size; ++to) rows.push_back((from * 5 + to * 3 + 2) % 4);
  }
  return rows;
}

/// Exact in bf16.
float value(int from, int to, std::int64_t row) { return static_cast<float>(from * 25 + to * 4 + row); }

struct Buffers {
  TensorView from, to;
};

Buffers fill(Exchange& exchange, const Pass& pass, const RowTable& table) {
  const int me = exchange.rank();
  std::int64_t sent = 0;
  std::int64_t received = 0;
  for (int peer = 0; peer < table.size(); ++peer) {
    sent += table(me, peer);
    received += table(peer, me);
  }
  const TensorView from = pass.arena.allocate({sent, kColumns});
  float* next = from.f32();
  for (int peer = 0; peer < table.size(); ++peer) {
    for (std::int64_t i = 0; i < table(me, peer) * kColumns; ++i) *next++ = value(me, peer, i / kColumns);
  }
  return {from, exchange.in_place() ? from : pass.arena.allocate({received, kColumns})};
}

void expect_in_order(const Exchange& exchange, const RowTable& table, TensorView to) {
  const float* next = to.f32();
  for (int peer = 0; peer < table.size(); ++peer) {
    for (std::int64_t i = 0; i < table(peer, exchange.rank()) * kColumns; ++i) {
      ASSERT_EQ(*next++, value(peer, exchange.rank(), i / kColumns)) << "from rank " << peer;
    }
  }
}

struct Case {
  int size;
  std::int64_t per_node;  // 0: not hierarchical
  DispatchType type;
};

void run(const Case& c, Traffic* traffic) {
  const auto rows = row_counts(c.size);
  const auto failures = on_ranks(c.size, [&](comm::Communicator& group) {
    Traffic ignored;
    const auto nodes = consecutive_nodes(c.size, c.per_node == 0 ? 2 : c.per_node);
    CountingCommunicator communicator(group, nodes, traffic == nullptr ? ignored : *traffic);
    const auto exchange = make_exchange(
        communicator, {.hierarchical = c.per_node > 0, .workers_per_node = c.per_node, .dtype = c.type});
    TestPass test;
    for (const bool back : {false, true}) {
      for (const bool progress : {false, true}) {
        const RowTable table(rows, c.size, back);
        const auto [from, to] = fill(*exchange, test.pass, table);
        comm::Pending pending = exchange->start(test.pass, table, from, to);
        for (int i = 0; progress && i < 1000; ++i) pending.progress();
        pending.wait();
        expect_in_order(*exchange, table, to);
      }
    }
    std::vector<std::int32_t> all(static_cast<std::size_t>(2 * c.size));
    exchange->gather(std::vector<std::int32_t>{exchange->rank(), 7}, all);
    for (int rank = 0; rank < c.size; ++rank) EXPECT_EQ(all[static_cast<std::size_t>(2 * rank)], rank);
  });
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

class ExchangeTest : public testing::TestWithParam<Case> {};

TEST_P(ExchangeTest, RowsArriveBySourceInOrderInBothDirections) { run(GetParam(), nullptr); }

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const DispatchType type : {DispatchType::kF32, DispatchType::kBf16}) {
    for (int size = 1; size <= 7; ++size) {
      for (const int per_node : {0, 1, 2, 3, 4}) all.push_back({size, per_node, type});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Kinds, ExchangeTest, testing::ValuesIn(cases()), [](const auto& instance) {
  return std::to_string(instance.param.size) + "ranks" + std::to_string(instance.param.per_node) +
         "per_node" + (instance.param.type == DispatchType::kBf16 ? "bf16" : "f32");
});

TEST(HierarchicalExchange, SendsFewerAndLargerMessagesBetweenNodes) {
  Traffic direct;
  Traffic hierarchical;
  run({6, 0, DispatchType::kF32}, &direct);  // counted as nodes of two
  run({6, 2, DispatchType::kF32}, &hierarchical);
  // Per rank and exchange, of 4 exchanges and 1 gather: 4 ranks elsewhere, or 2 nodes.
  EXPECT_EQ(direct.messages, 6 * 5 * 4);
  EXPECT_EQ(hierarchical.messages, 6 * 5 * 2);
}

TEST(Bf16Exchange, SendsHalfTheBytes) {
  const auto bytes_of_rows = [](DispatchType type) {
    Traffic traffic;
    run({4, 0, type}, &traffic);
    return traffic.bytes - 4 * 2 * 8;  // less the gather: 4 ranks to 2 on the other node, 2 numbers
  };
  EXPECT_EQ(2 * bytes_of_rows(DispatchType::kBf16), bytes_of_rows(DispatchType::kF32));
}

TEST(Bf16Exchange, RoundsAlsoWhatStaysHome) {
  for (const int size : {1, 2}) {
    const auto failures = on_ranks(size, [&](comm::Communicator& communicator) {
      const auto exchange = make_exchange(communicator, {.dtype = DispatchType::kBf16});
      TestPass test;
      const std::vector<std::int64_t> rows =
          size == 1 ? std::vector<std::int64_t>{1} : std::vector<std::int64_t>{1, 0, 0, 1};
      const TensorView from = test.arena.allocate({1, 2});
      from.f32()[0] = 1.0F + 0x1p-8F;  // half way: to the even one, 1
      from.f32()[1] = 1.0F + 0x3p-8F;  // half way: to the even one, 1 + 2^-6
      const TensorView to = exchange->in_place() ? from : test.arena.allocate({1, 2});
      exchange->start(test.pass, {rows, size, false}, from, to).wait();
      EXPECT_EQ(to.f32()[0], 1.0F);
      EXPECT_EQ(to.f32()[1], 1.0F + 0x1p-6F);
    });
    for (const auto& failure : failures) EXPECT_FALSE(failure);
  }
}

TEST(Nodes, AGatewayIsOnTheRailOfItsDestination) {
  const Nodes nodes({0, 0, 0, 1, 1, 2});  // the smallest node has one rank: one rail
  EXPECT_EQ(nodes.count(), 3);
  EXPECT_EQ(nodes.gateway(0, 1), 1) << "at home";
  EXPECT_EQ(nodes.gateway(1, 2), 3) << "no third rank there: the rail's first";
  EXPECT_EQ(nodes.gateway(1, 1), 4) << "same place";
  for (int node = 0; node < nodes.count(); ++node) {
    for (int rank = 0; rank < nodes.ranks(); ++rank) {
      const int gateway = nodes.gateway(node, rank);
      EXPECT_EQ(nodes.node_of(gateway), node);
      EXPECT_EQ(nodes.rail(gateway), nodes.rail(rank));
    }
  }
}

TEST(Nodes, RanksOfANodeNeedNotFollowEachOther) {
  const std::vector<std::int64_t> rows = row_counts(4);
  const auto failures = on_ranks(4, [&](comm::Communicator& group) {
    Traffic traffic;
    CountingCommunicator communicator(group, {0, 1, 0, 1}, traffic);  // as hosts() says
    const auto exchange = make_exchange(communicator, {.hierarchical = true});
    TestPass test;
    const RowTable table(rows, 4, false);
    const auto [from, to] = fill(*exchange, test.pass, table);
    exchange->start(test.pass, table, from, to).wait();
    expect_in_order(*exchange, table, to);
  });
  for (const auto& failure : failures) EXPECT_FALSE(failure);
}

}  // namespace
}  // namespace troupe::experts
