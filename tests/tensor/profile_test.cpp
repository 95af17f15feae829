#include "tensor/profile.h"

#include <gtest/gtest.h>

#include "tensor/parallel.h"

namespace troupe {
namespace {

using std::chrono::seconds;

double of(const PhaseSeconds& all, Phase phase) { return all[static_cast<std::size_t>(phase)]; }

TEST(Profile, AnInnerPhaseStopsTheOuterOne) {
  ManualClock clock;
  Profile profile(clock);
  const Execution execution{1, &profile};
  clock.advance(seconds(1));
  {
    const PhaseScope forward(execution, Phase::kForward);
    clock.advance(seconds(2));
    {
      const PhaseScope router(execution, Phase::kRouter);
      clock.advance(seconds(4));
    }
    clock.advance(seconds(8));
  }
  clock.advance(seconds(16));
  const PhaseSeconds all = profile.seconds();
  EXPECT_EQ(of(all, Phase::kForward), 10.0);
  EXPECT_EQ(of(all, Phase::kRouter), 4.0);
  EXPECT_EQ(of(all, Phase::kOther), 17.0);
}

TEST(Profile, StartsAgainFromZero) {
  ManualClock clock;
  Profile profile(clock, 1, /*counts_ops=*/true);
  const Execution execution{1, &profile};
  {
    const PhaseScope forward(execution, Phase::kForward);
    const OpScope op(execution, OpKind::kNorm);
    clock.advance(seconds(1));
  }
  ASSERT_EQ(of(profile.seconds(), Phase::kForward), 1.0);
  ASSERT_EQ(profile.work(Phase::kForward, OpKind::kNorm).calls, 1);
  profile.reset();
  clock.advance(seconds(1));
  EXPECT_EQ(of(profile.seconds(), Phase::kForward), 0.0);
  EXPECT_EQ(of(profile.seconds(), Phase::kOther), 1.0);
  const OpWork work = profile.work(Phase::kForward, OpKind::kNorm);
  EXPECT_EQ(work.calls, 0);
  EXPECT_EQ(work.thread_seconds, 0.0);
}

TEST(Profile, AddsUpScopesOfOnePhaseAndReadingDoesNotEndIt) {
  ManualClock clock;
  Profile profile(clock);
  const Execution execution{1, &profile};
  for (int round = 0; round < 3; ++round) {
    const PhaseScope reduce(execution, Phase::kReduce);
    clock.advance(seconds(1));
    EXPECT_EQ(of(profile.seconds(), Phase::kReduce), 2.0 * round + 1.0);
    clock.advance(seconds(1));
  }
  clock.advance(seconds(1));
  EXPECT_EQ(of(profile.seconds(), Phase::kReduce), 6.0);
  EXPECT_EQ(of(profile.seconds(), Phase::kOther), 1.0);
}

TEST(Profile, CountsOpsByPhaseWithTheThreadsThatTheyHad) {
  ManualClock clock;
  Profile profile(clock, 2, /*counts_ops=*/true);
  const Execution execution{2, &profile};
  const PhaseScope expert(execution, Phase::kExpert);
  {
    const OpScope product(execution, OpKind::kGemm, 5.0);  // has both threads
    clock.advance(seconds(3));
  }
  parallel_for(execution, 4, [&](std::int64_t) { const OpScope product(execution, OpKind::kGemm, 7.0); });
  const OpWork work = profile.work(Phase::kExpert, OpKind::kGemm);
  EXPECT_EQ(work.thread_seconds, 6.0);
  EXPECT_EQ(work.calls, 5);
  EXPECT_EQ(work.flop, 33.0);
  EXPECT_EQ(profile.work(Phase::kExpert, OpKind::kNorm).calls, 0);
}

TEST(Profile, AnOpInsideAParallelRegionHasOneThread) {
  ManualClock clock;
  Profile profile(clock, 2, /*counts_ops=*/true);
  const Execution execution{2, &profile};
  parallel_for(execution, 2, [&](std::int64_t i) {
    if (i != 0) return;
    const OpScope product(execution, OpKind::kGemm);
    clock.advance(seconds(5));
  });
  EXPECT_EQ(profile.work(Phase::kOther, OpKind::kGemm).thread_seconds, 5.0);
}

TEST(Profile, AnOpBelongsToThePhaseThatItEndsIn) {
  ManualClock clock;
  Profile profile(clock, 1, /*counts_ops=*/true);
  const Execution execution{1, &profile};
  {
    const PhaseScope update(execution, Phase::kUpdate);
    const OpScope op(execution, OpKind::kAdamW);
  }
  const OpScope op(execution, OpKind::kAdamW);
  EXPECT_EQ(profile.work(Phase::kUpdate, OpKind::kAdamW).calls, 1);
  EXPECT_EQ(profile.work(Phase::kOther, OpKind::kAdamW).calls, 0) << "it has not ended";
}

TEST(Profile, WithoutOneScopesDoNothing) {
  ManualClock clock;
  const Profile unused(clock, 1, /*counts_ops=*/true);
  const Execution execution{1, nullptr};
  { const OpScope op(execution, OpKind::kGemm, 1.0); }
  { const PhaseScope phase(execution, Phase::kForward); }
  EXPECT_EQ(unused.work(Phase::kOther, OpKind::kGemm).calls, 0);
}

TEST(Profile, CountsNoOpsUnlessAsked) {
  for (const bool asked : {false, true}) {
    ManualClock clock;
    Profile profile(clock, 1, asked);
    const Execution execution{1, &profile};
    { const OpScope product(execution, OpKind::kGemm, 1.0); }
    EXPECT_EQ(profile.work(Phase::kOther, OpKind::kGemm).calls, asked ? 1 : 0);
  }
}

}  // namespace
}  // namespace troupe
