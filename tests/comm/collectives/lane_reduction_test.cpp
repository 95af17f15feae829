#include "comm/collectives/lane_reduction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "tests/comm/collectives/threads.h"

namespace troupe::comm::testing {
namespace {

using Lanes = std::vector<std::vector<float>>;  // [lanes][elements]

/// Values of very different size, so that another order of addition gives other bits.
Lanes random_lanes(int count, std::int64_t elements) {
  const Random random(7, RandomPurpose::kTest);
  Lanes lanes(static_cast<std::size_t>(count), std::vector<float>(static_cast<std::size_t>(elements)));
  std::uint64_t index = 0;
  for (auto& lane : lanes)
    for (float& value : lane) {
      const auto exponent = static_cast<int>(random.below(2 * index, 24));
      value = static_cast<float>(std::ldexp(random.normal(2 * index + 1), exponent));
      ++index;
    }
  return lanes;
}

std::vector<float> add_in_order(const Lanes& lanes, const std::vector<std::size_t>& order) {
  std::vector<float> total(lanes.front().size(), 0.0F);
  for (const std::size_t lane : order)
    for (std::size_t i = 0; i < total.size(); ++i) total[i] = total[i] + lanes[lane][i];
  return total;
}

std::vector<std::size_t> lane_order(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  return order;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

enum class Borders { kEven, kOdd, kFirstOwnsAll, kLastOwnsAll };

std::vector<std::int64_t> slice_borders(Borders borders, int ranks, std::int64_t elements) {
  std::vector<std::int64_t> begin{0};
  for (int rank = 1; rank < ranks; ++rank) {
    const std::int64_t even = elements * rank / ranks;
    switch (borders) {
      case Borders::kEven:
        begin.push_back(even);
        break;
      case Borders::kOdd:
        begin.push_back(std::max(begin.back(), (even * even / std::max<std::int64_t>(elements, 1)) | 1));
        break;
      case Borders::kFirstOwnsAll:
        begin.push_back(elements);
        break;
      case Borders::kLastOwnsAll:
        begin.push_back(0);
        break;
    }
  }
  for (auto& border : begin) border = std::min(border, elements);
  begin.push_back(elements);
  return begin;
}

struct Case {
  int ranks;
  int threads;
  std::int64_t scratch;
  Borders borders;
};

std::vector<float> reduce(const Lanes& lanes, const Case& layout) {
  const auto elements = static_cast<std::int64_t>(lanes.front().size());
  const auto slice_begin = slice_borders(layout.borders, layout.ranks, elements);
  std::vector<float> all(lanes.front().size(), -1.0F);
  run_ranks_well(layout.ranks, [&](Communicator& group) {
    std::vector<std::span<const float>> own;
    for (std::size_t lane = static_cast<std::size_t>(group.rank()); lane < lanes.size();
         lane += static_cast<std::size_t>(layout.ranks))
      own.emplace_back(lanes[lane]);
    std::vector<float> scratch(static_cast<std::size_t>(layout.scratch + group.rank()));
    const auto begin = slice_begin[static_cast<std::size_t>(group.rank())];
    LaneReduction reduction(group, static_cast<int>(lanes.size()), slice_begin, std::ssize(scratch));
    for (int step = 0; step < 2; ++step) {  // the second sees nothing of the first
      const auto total = reduction.reduce({.threads = layout.threads}, own, scratch);
      std::ranges::copy(total, all.begin() + begin);
    }
  });
  return all;
}

TEST(LaneReduction, TheTestsValuesNoticeAnotherOrder) {
  const Lanes lanes = random_lanes(4, 1000);
  const auto expected = add_in_order(lanes, lane_order(4));
  EXPECT_FALSE(same_bits(add_in_order(lanes, {1, 0, 3, 2}), expected));
  EXPECT_FALSE(same_bits(add_in_order(lanes, {0, 2, 1, 3}), expected));  // own lanes first, with two ranks
  EXPECT_FALSE(same_bits(add_in_order(lanes, {3, 2, 1, 0}), expected));
}

TEST(LaneReduction, EveryLayoutGivesTheBitsOfTheSerialSum) {
  for (const int count : {1, 2, 3, 5, 6, 7, 12}) {
    for (const std::int64_t elements : {1, 17, 2500}) {
      const Lanes lanes = random_lanes(count, elements);
      const auto expected = add_in_order(lanes, lane_order(lanes.size()));
      for (int ranks = 1; ranks <= std::min(6, count); ++ranks) {
        for (const auto borders :
             {Borders::kEven, Borders::kOdd, Borders::kFirstOwnsAll, Borders::kLastOwnsAll}) {
          for (const std::int64_t scratch :
               {std::int64_t{3} * count, std::int64_t{3} * count * 100 + 1, std::int64_t{200'000}}) {
            if (scratch == 3 * count && elements > 100) continue;  // one element at a time: slow
            const Case layout{ranks, 1 + ranks % 2, scratch, borders};
            EXPECT_TRUE(same_bits(reduce(lanes, layout), expected))
                << count << " lanes, " << elements << " elements, " << ranks << " ranks, scratch " << scratch
                << ", borders " << static_cast<int>(borders);
          }
        }
      }
    }
  }
}

TEST(LaneReduction, ThreadsDoNotChangeBits) {
  const Lanes lanes = random_lanes(5, 10'007);
  const auto expected = add_in_order(lanes, lane_order(5));
  for (const int threads : {1, 2, 3})
    for (const int ranks : {1, 2, 5})
      EXPECT_TRUE(same_bits(reduce(lanes, {ranks, threads, 5000, Borders::kOdd}), expected))
          << threads << ' ' << ranks;
}

TEST(LaneReduction, StartsFromPositiveZero) {
  const Lanes lanes{{-0.0F}, {-0.0F}};
  EXPECT_TRUE(same_bits(reduce(lanes, {1, 1, 0, Borders::kEven}), {0.0F}));
  EXPECT_TRUE(same_bits(reduce(lanes, {2, 1, 100, Borders::kEven}), {0.0F}));
}

std::vector<std::int64_t> even_slices(int ranks, std::int64_t elements) {
  return slice_borders(Borders::kEven, ranks, elements);
}

LaneExchange well_cut(int ranks, int lanes, std::int64_t elements) {
  const auto slices = even_slices(ranks, elements);
  return {ranks, lanes, slices, LaneExchange::scratch_for(ranks, lanes, slices)};
}

// 21 G dense parameters, as of a model of 676 G: what a rank sends is the same whatever the number of ranks,
// and so are its messages, until a peer owns less than one of them.
TEST(LaneExchange, MessagesGrowWithBytesAndNotWithRanks) {
  constexpr std::int64_t kElements = std::int64_t{21'000'000'000};
  constexpr std::int64_t kLeast = 256 << 10;
  for (const int ranks : {4, 16, 64, 256, 1024, 4096}) {
    for (const int lanes_per_rank : {1, 4}) {
      const auto exchange = well_cut(ranks, ranks * lanes_per_rank, kElements);
      const Traffic sent = exchange.traffic(ranks - 1);
      EXPECT_LE(sent.bytes, 4 * lanes_per_rank * kElements);
      EXPECT_GT(sent.bytes, 4 * lanes_per_rank * kElements / 2);
      EXPECT_LE(sent.messages, sent.bytes / kLeast + ranks) << ranks;
      const auto scratch =
          LaneExchange::scratch_for(ranks, ranks * lanes_per_rank, even_slices(ranks, kElements));
      EXPECT_LE(4 * scratch, std::max<std::int64_t>(4 << 20, std::int64_t{2} * ranks * kLeast));
    }
  }
  const auto small = well_cut(4096, 4096, 1'000'000);  // a peer owns 1 KB: one round
  EXPECT_EQ(small.rounds(), 1);
  EXPECT_EQ(small.traffic(0).messages, 4095);
}

TEST(LaneExchange, FewRanksUseFourMebibytes) {
  for (const int ranks : {2, 4, 8}) {
    const auto scratch = LaneExchange::scratch_for(ranks, 8, even_slices(ranks, 1 << 26));
    EXPECT_LE(scratch, 1 << 20);
    EXPECT_GT(scratch, (1 << 20) - 4 * 16);
  }
  EXPECT_EQ(LaneExchange::scratch_for(1, 8, {0, 1 << 26}), 0);
  EXPECT_EQ(LaneExchange::scratch_for(2, 8, {0, 50, 100}), 8 * 50);  // no more than there is to send
}

TEST(LaneReduction, RefusesScratchThatHoldsNoElement) {
  const Lanes lanes = random_lanes(4, 8);
  EXPECT_THROW(reduce(lanes, {2, 1, 1, Borders::kEven}), Error);
}

TEST(LaneReduction, RefusesMoreRanksThanLanes) {
  const Lanes lanes = random_lanes(2, 8);
  EXPECT_THROW(reduce(lanes, {3, 1, 100, Borders::kEven}), Error);
}

}  // namespace
}  // namespace troupe::comm::testing
