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
  profile.reset();
  clock.advance(seconds(1));
  EXPECT_EQ(of(profile.seconds(), Phase::kForward), 0.0);
  EXPECT_EQ(of(profile.seconds(), Phase::kOther), 1.0);
  EXPECT_EQ(profile.work(Phase::kForward, OpKind::kNorm).calls, 0);
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

TEST(Profile, IsNotNeeded) {
  const Execution execution{1};
  const PhaseScope phase(execution, Phase::kForward);
  const OpScope op(execution, OpKind::kGemm, 1.0);
}

TEST(Profile, CountsNoOpsUnlessAsked) {
  ManualClock clock;
  Profile profile(clock);
  const Execution execution{1, &profile};
  { const OpScope product(execution, OpKind::kGemm, 1.0); }
  EXPECT_EQ(profile.work(Phase::kOther, OpKind::kGemm).calls, 0);
}

}  // namespace
}  // namespace troupe
