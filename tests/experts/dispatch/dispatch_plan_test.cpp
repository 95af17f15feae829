#include "experts/dispatch/dispatch_plan.h"

#include <gtest/gtest.h>

#include <array>
#include <mutex>
#include <string>

#include "tests/experts/ranks.h"

namespace troupe::experts {
namespace {

using layout::LayerPlacement;

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
    DispatchPlan plan({communicator, LayerPlacement::ranges({0, 5})}, 3);
    const Choices choices{{3, 1, /**/ 1, 4, /**/ 3, 0}};
    plan.exchange_counts(arena, choices.view());
    const auto* tokens = plan.tokens().i32();
    EXPECT_EQ(std::vector(tokens, tokens + 6), (std::vector<std::int32_t>{2, 0, 1, 0, 2, 1}));
    const auto* slots = plan.slots().i32();
    EXPECT_EQ(std::vector(slots, slots + 6), (std::vector<std::int32_t>{3, 1, 2, 5, 4, 0}));
    EXPECT_EQ(plan.segment(0, 1).first_row, 1);
    EXPECT_EQ(plan.segment(0, 1).rows, 2);
    EXPECT_EQ(plan.segment(0, 2).rows, 0);
  }));
}

TEST(DispatchPlan, RowsArriveByRankThenExpertAndComeBackWhereTheyStarted) {
  rethrow(on_ranks(3, [](comm::Communicator& communicator) {
    // Rank 0 has the experts 0 and 1, rank 1 the expert 2, rank 2 the experts 3 and 4.
    const int rank = communicator.rank();
    Arena arena(1 << 20);
    DispatchPlan plan({communicator, LayerPlacement::ranges({0, 2, 3, 5})}, 0);
    const Choices choices = choices_of(rank);
    plan.exchange_counts(arena, choices.view());

    const TensorView sent = arena.allocate({plan.rows_sent(), 2});
    for (std::int64_t row = 0; row < plan.rows_sent(); ++row) {
      sent.f32()[2 * row] = static_cast<float>(rank);
      sent.f32()[2 * row + 1] = static_cast<float>(plan.tokens().i32()[row]);
    }
    const TensorView received = arena.allocate({plan.rows_received(), 2});
    plan.start_to_experts(sent, received).wait();
    const std::array<std::vector<float>, 3> expected{{{0, 0, 1, 0, 1, 1}, {}, {0, 0, 1, 0, 1, 1}}};
    const auto rows = received.floats();
    EXPECT_EQ(std::vector(rows.begin(), rows.end()), expected[static_cast<std::size_t>(rank)]);
    if (rank == 2) {
      EXPECT_EQ(plan.segment(0, 0).rows, 0);  // expert 3, from rank 0
      EXPECT_EQ(plan.segment(0, 1).rows, 1);  // expert 4
      EXPECT_EQ(plan.segment(1, 0).rows, 2);
      EXPECT_EQ(plan.segment(1, 0).first_row, 1);
      EXPECT_EQ(plan.segment(2, 0).rows, 0);
    }
    const TensorView returned = arena.allocate(sent.shape());
    plan.start_to_tokens(received, returned).wait();
    for (std::int64_t i = 0; i < sent.elements(); ++i) EXPECT_EQ(returned.f32()[i], sent.f32()[i]);
  }));
}

TEST(DispatchPlan, APeerInAnotherLayerIsNamedBeforeRowsMove) {
  const auto failures = on_ranks(2, [](comm::Communicator& communicator) {
    Arena arena(1 << 20);
    DispatchPlan plan({communicator, LayerPlacement::ranges({0, 2, 5})}, communicator.rank() == 0 ? 7 : 8);
    const Choices choices{{3, 0}};
    plan.exchange_counts(arena, choices.view());
  });
  for (const auto& failure : failures) {
    try {
      ASSERT_TRUE(failure);
      std::rethrow_exception(failure);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInternal);
    }
  }
  try {
    std::rethrow_exception(failures[0]);
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              "dispatch of layer 7: rank 1 announces 1 rows of layer 8 to rank 0, but counts [1, 0], sum 1: "
              "the ranks "
              "are not in the same step");
  }
}

TEST(DispatchPlan, CountsThatContradictTheirSumAreNamed) {
  const auto failures = on_ranks(2, [](comm::Communicator& communicator) {
    if (communicator.rank() == 1) {  // says 3 rows of layer 0, then counts that sum to 2
      const std::array<std::int32_t, 9> message{0, 3, 1, 1, 0, 0, 0, 0, 0};
      const std::array<std::int64_t, 2> out{16, 20};
      std::array<std::int32_t, 10> answer{};
      const std::array<std::int64_t, 2> in{20, 20};
      communicator.all_to_all_v({std::as_bytes(std::span(message)), out},
                                {std::as_writable_bytes(std::span(answer)), in});
      return;
    }
    Arena arena(1 << 20);
    DispatchPlan plan({communicator, LayerPlacement::ranges({0, 2, 5})}, 0);
    const Choices choices{{3, 0}};
    plan.exchange_counts(arena, choices.view());
  });
  ASSERT_TRUE(failures[0]);
  try {
    std::rethrow_exception(failures[0]);
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what())
                  .find("rank 1 announces 3 rows of layer 0 to rank 0, but counts [1, 1], sum 2"),
              std::string::npos)
        << error.what();
  }
}

TEST(DispatchPlan, AnEmptySlotSendsNothing) {
  rethrow(on_ranks(1, [](comm::Communicator& communicator) {
    Arena arena(1 << 20);
    DispatchPlan plan({communicator, LayerPlacement::ranges({0, 5})}, 0);
    const Choices choices{{3, -1, /**/ -1, -1, /**/ 0, 3}};  // the second token has no expert at all
    plan.exchange_counts(arena, choices.view());
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
      DispatchPlan plan({communicator, LayerPlacement::ranges({0, 5})}, 0);
      plan.exchange_counts(arena, Choices{{3, expert}}.view());
    });
    EXPECT_TRUE(failures[0]);
  }
}

}  // namespace
}  // namespace troupe::experts
