#include "experts/router/routing_tape.h"

#include <gtest/gtest.h>

#include <array>

#include "base/error.h"

namespace troupe::experts {
namespace {

using Slots = std::array<std::int32_t, 6>;

// 3 tokens, 2 slots: the second token's second candidate was left out, the third token has one only.
constexpr Slots kCandidates{4, 0, 2, 3, 1, -1};
constexpr Slots kChosen{4, 0, 2, -1, 1, -1};

ConstTensorView view(const Slots& slots) { return {slots.data(), Shape{3, 2}}; }
TensorView view(Slots& slots) { return {slots.data(), Shape{3, 2}}; }

TEST(RoutingTape, GivesBackCandidatesAndChoices) {
  Slots tape{};
  record_choices(view(kCandidates), view(kChosen), {.record = tape, .replay = {}});
  Slots candidates{};
  Slots chosen{};
  replay_choices({.record = {}, .replay = tape}, view(candidates), view(chosen));
  EXPECT_EQ(candidates, kCandidates);
  EXPECT_EQ(chosen, kChosen);
}

TEST(RoutingTape, HoldsTheIdsOfChosenExperts) {
  Slots tape{};
  record_choices(view(kCandidates), view(kChosen), {.record = tape, .replay = {}});
  EXPECT_EQ(tape, (Slots{4, 0, 2, -5, 1, -1}));
}

TEST(RoutingTape, CandidatesAndChoicesMayBeOneTensor) {
  Slots both{};
  replay_choices({.record = {}, .replay = kChosen}, view(both), view(both));
  EXPECT_EQ(both, kChosen);
}

TEST(RoutingTape, RefusesATapeOfAnotherSize) {
  std::array<std::int32_t, 5> tape{};
  Slots slots{};
  EXPECT_THROW(record_choices(view(kChosen), view(kChosen), {.record = tape, .replay = {}}), Error);
  EXPECT_THROW(replay_choices({.record = {}, .replay = tape}, view(slots), view(slots)), Error);
}

TEST(RoutingTape, ALayersPartFollowsThoseOfTheLayersBefore) {
  const RoutingTape part = RoutingTape{.record = {}, .replay = kChosen}.layer(1, 3);
  EXPECT_EQ(part.replay.size(), 2U);
  EXPECT_EQ(part.replay[0], 2);
  EXPECT_TRUE(part.record.empty());
}

}  // namespace
}  // namespace troupe::experts
