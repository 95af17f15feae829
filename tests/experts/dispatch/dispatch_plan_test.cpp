#include "experts/dispatch/dispatch_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "tests/experts/ranks.h"
#include "tests/experts/test_pass.h"

namespace troupe::experts {
namespace {

using layout::LayerPlacement;

constexpr std::int64_t kRowBytes = 8;

struct Choices {
  std::vector<std::int32_t> experts;  // [tokens, 2]
  [[nodiscard]] ConstTensorView view() const { return {experts.data(), Shape{std::ssize(experts) / 2, 2}}; }
};

/// Rank r's tokens: r + 1 of them, none on rank 2.
Choices choices_of(int rank) {
  if (rank == 0) return {{4, 0}};
  if (rank == 1) return {{0, 3, /**/ 3, 0}};
  return {};
}

void rethrow(const std::vector<std::exception_ptr>& failures) {
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

TEST(DispatchPlan, SortsRowsByExpertThenToken) {
  rethrow(on_ranks(1, [](comm::Communicator& communicator) {
    Arena arena(1 << 20);
    const auto exchange = make_exchange(communicator, {});
    DispatchPlan plan({communicator, LayerPlacement::ranges({0, 5})}, *exchange, 3);
    const Choices choices{{3, 1, /**/ 1, 4, /**/ 3, 0}};
    plan.exchange_counts(arena, choices.view(), kRowBytes);
    const auto* tokens = plan.tokens().i32();
    EXPECT_EQ(std::vector(tokens, tokens + 6), (std::vector<std::int32_t>{2, 0, 1, 0, 2, 1}));
    const auto* slots = plan.slots().i32();
    EXPECT_EQ(std::vector(slots, slots + 6), (std::vector<std::int32_t>{3, 1, 2, 5, 4, 0}));
    EXPECT_EQ(plan.chunk(0).segment(0, 1).first_row, 1);
    EXPECT_EQ(plan.chunk(0).segment(0, 1).rows, 2);
    EXPECT_EQ(plan.chunk(0).segment(0, 2).rows, 0);
  }));
}

TEST(DispatchPlan, RowsArriveByRankThenExpertAndComeBackWhereTheyStarted) {
  rethrow(on_ranks(3, [](comm::Communicator& communicator) {
    // Rank 0 has the experts 0 and 1, rank 1 the expert 2, rank 2 the experts 3 and 4.
    const int rank = communicator.rank();
    TestPass test;
    Arena& arena = test.arena;
    const auto exchange = make_exchange(communicator, {});
    DispatchPlan plan({communicator, LayerPlacement::ranges({0, 2, 3, 5})}, *exchange, 0);
    const Choices choices = choices_of(rank);
    plan.exchange_counts(arena, choices.view(), kRowBytes);

    const TensorView sent = arena.allocate({plan.rows_sent(), 2});
    for (std::int64_t row = 0; row < plan.rows_sent(); ++row) {
      sent.f32()[2 * row] = static_cast<float>(rank);
      sent.f32()[2 * row + 1] = static_cast<float>(plan.tokens().i32()[row]);
    }
    const TensorView received = arena.allocate({plan.chunk(0).rows_received(), 2});
    exchange->start(test.pass, plan.chunk(0).rows(), sent, received).wait();
    const std::array<std::vector<float>, 3> expected{{{0, 0, 1, 0, 1, 1}, {}, {0, 0, 1, 0, 1, 1}}};
    const auto rows = received.floats();
    EXPECT_EQ(std::vector(rows.begin(), rows.end()), expected[static_cast<std::size_t>(rank)]);
    if (rank == 2) {
      EXPECT_EQ(plan.chunk(0).segment(0, 0).rows, 0);  // expert 3, from rank 0
      EXPECT_EQ(plan.chunk(0).segment(0, 1).rows, 1);  // expert 4
      EXPECT_EQ(plan.chunk(0).segment(1, 0).rows, 2);
      EXPECT_EQ(plan.chunk(0).segment(1, 0).first_row, 1);
      EXPECT_EQ(plan.chunk(0).segment(2, 0).rows, 0);
    }
    const TensorView returned = arena.allocate(sent.shape());
    exchange->start(test.pass, plan.chunk(0).rows().reversed(), received, returned).wait();
    for (std::int64_t i = 0; i < sent.elements(); ++i) EXPECT_EQ(returned.f32()[i], sent.f32()[i]);
  }));
}

/// What a rank throws, or nothing.
std::string message_of(const std::exception_ptr& failure) {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
    return error.what();
  }
  return {};
}

/// The exchanges of four ranks: direct, by two nodes, as bf16.
std::vector<layout::DispatchOptions> exchange_kinds() {
  return {{},
          {.hierarchical = true, .workers_per_node = 2},
          {.dtype = layout::DispatchType::kBf16},
          {.hierarchical = true, .workers_per_node = 3, .dtype = layout::DispatchType::kBf16}};
}

TEST(DispatchPlan, APeerInAnotherLayerIsNamedByEveryRankBeforeRowsMove) {
  for (const auto& options : exchange_kinds()) {
    const auto failures = on_ranks(4, [&](comm::Communicator& communicator) {
      Arena arena(1 << 20);
      const auto exchange = make_exchange(communicator, options);
      DispatchPlan plan({communicator, LayerPlacement::ranges({0, 2, 3, 4, 5}), options}, *exchange,
                        communicator.rank() == 1 ? 8 : 7);
      plan.exchange_counts(arena, Choices{{3, 0}}.view(), kRowBytes);
    });
    EXPECT_EQ(
        message_of(failures[0]),
        "dispatch of layer 7 on rank 0: rank 1 announces 2 rows of layer 8, but counts [1, 0, 0, 1, 0], "
        "sum 2: the ranks are not in the same step");
    EXPECT_NE(message_of(failures[1]).find("layer 8 on rank 1: rank 0 announces 2 rows of layer 7"),
              std::string::npos);
    for (const auto& failure : failures) EXPECT_TRUE(failure);
  }
}

TEST(DispatchPlan, CountsThatContradictTheirSumAreNamedByEveryRank) {
  for (const auto& options : exchange_kinds()) {
    const auto failures = on_ranks(4, [&](comm::Communicator& communicator) {
      const auto exchange = make_exchange(communicator, options);
      if (communicator.rank() == 1) {  // says 3 rows of layer 0, then counts that sum to 2
        constexpr std::int32_t kNoLimit = std::numeric_limits<std::int32_t>::max();
        const std::array<std::int32_t, 10> message{0, 3, kNoLimit, 0, 0, 1, 1, 0, 0, 0};
        std::array<std::int32_t, 40> answer{};
        exchange->gather(message, answer);
        return;
      }
      Arena arena(1 << 20);
      DispatchPlan plan({communicator, LayerPlacement::ranges({0, 2, 3, 4, 5}), options}, *exchange, 0);
      plan.exchange_counts(arena, Choices{{3, 0}}.view(), kRowBytes);
    });
    for (const std::size_t rank : {0U, 2U, 3U}) {
      EXPECT_NE(message_of(failures[rank])
                    .find("rank 1 announces 3 rows of layer 0, but counts [1, 1, 0, 0, 0], sum 2"),
                std::string::npos)
          << message_of(failures[rank]);
    }
  }
}

TEST(DispatchPlan, RanksWithDifferentLimitsAreAnErrorAndNotAHang) {
  for (auto options : exchange_kinds()) {
    const auto failures = on_ranks(4, [&](comm::Communicator& communicator) {
      Arena arena(1 << 20);
      const auto exchange = make_exchange(communicator, options);
      auto own = options;
      own.max_bytes = communicator.rank() == 2 ? 3 * kRowBytes : 2 * kRowBytes;
      DispatchPlan plan({communicator, LayerPlacement::ranges({0, 2, 3, 4, 5}), own}, *exchange, 6);
      plan.exchange_counts(arena, Choices{{3, 0}}.view(), kRowBytes);
    });
    EXPECT_NE(
        message_of(failures[0]).find("layer 6 on rank 0: rank 2 wants at most 3 rows at once, this rank 2"),
        std::string::npos)
        << message_of(failures[0]);
    for (const auto& failure : failures) EXPECT_TRUE(failure);
  }
}

/// Chunks of two ranks with the experts {0, 1, 2} and {3, 4}: rank 0 receives 2, 3 and 0 rows for its
/// experts, rank 1 receives 0 and 3.
std::vector<int> chunks_with(std::int64_t max_bytes) {
  std::vector<int> chunks(2);
  rethrow(on_ranks(2, [&](comm::Communicator& communicator) {
    TestPass test;
    const layout::DispatchOptions options{.max_bytes = max_bytes};
    const auto exchange = make_exchange(communicator, options);
    DispatchPlan plan({communicator, LayerPlacement::ranges({0, 3, 5}), options}, *exchange, 0);
    const Choices choices =
        communicator.rank() == 0 ? Choices{{0, 1, /**/ 1, 4}} : Choices{{4, 0, /**/ 1, 4}};
    plan.exchange_counts(test.arena, choices.view(), kRowBytes);
    chunks[static_cast<std::size_t>(communicator.rank())] = plan.chunks();
    std::int64_t sent = 0;
    for (int index = 0; index < plan.chunks(); ++index) {
      const DispatchChunk chunk = plan.chunk(index);
      EXPECT_EQ(chunk.first_sent_row(), sent);
      sent += chunk.rows_sent();
      if (max_bytes > 0) {
        EXPECT_LE(chunk.rows_received(), std::max<std::int64_t>(3, max_bytes / kRowBytes));
      }
    }
    EXPECT_EQ(sent, plan.rows_sent());
  }));
  return chunks;
}

TEST(DispatchPlan, ChunksAreWholeExpertsAndAsManyAsTheFullestRankNeeds) {
  EXPECT_EQ(chunks_with(0), (std::vector{1, 1}));
  EXPECT_EQ(chunks_with(5 * kRowBytes), (std::vector{1, 1}));
  EXPECT_EQ(chunks_with(5 * kRowBytes - 1), (std::vector{2, 2}));
  EXPECT_EQ(chunks_with(1), (std::vector{2, 2}))
      << "an expert is never split, one without rows needs no chunk";
}

TEST(DispatchPlan, AnEmptySlotSendsNothing) {
  rethrow(on_ranks(1, [](comm::Communicator& communicator) {
    Arena arena(1 << 20);
    const auto exchange = make_exchange(communicator, {});
    DispatchPlan plan({communicator, LayerPlacement::ranges({0, 5})}, *exchange, 0);
    const Choices choices{{3, -1, /**/ -1, -1, /**/ 0, 3}};  // the second token has no expert at all
    plan.exchange_counts(arena, choices.view(), kRowBytes);
    EXPECT_EQ(plan.rows_sent(), 3);
    const auto* tokens = plan.tokens().i32();
    EXPECT_EQ(std::vector(tokens, tokens + 3), (std::vector<std::int32_t>{2, 0, 2}));
    const auto* slots = plan.slots().i32();
    EXPECT_EQ(std::vector(slots, slots + 6), (std::vector<std::int32_t>{1, -1, -1, -1, 0, 2}));
  }));
}

TEST(DispatchPlan, RefusesAnExpertThatIsNotThere) {
  for (const std::int32_t expert : {-2, 5}) {
    const auto failures = on_ranks(1, [&](comm::Communicator& communicator) {
      Arena arena(1 << 20);
      const auto exchange = make_exchange(communicator, {});
      DispatchPlan plan({communicator, LayerPlacement::ranges({0, 5})}, *exchange, 0);
      plan.exchange_counts(arena, Choices{{3, expert}}.view(), kRowBytes);
    });
    EXPECT_TRUE(failures[0]);
  }
}

}  // namespace
}  // namespace troupe::experts
