// Times are made up: no step is computed, and nobody sleeps.
#include "coordinator/recovery/straggler_watch.h"

#include <gtest/gtest.h>

#include <random>

namespace troupe::coordinator {
namespace {

constexpr auto kWindow = static_cast<std::int64_t>(StragglerWatch::kSteps);

comm::StepFinished report(std::int64_t rank, std::int64_t step, std::map<std::string, double> phases) {
  comm::StepFinished message;
  message.rank = rank;
  message.step = step;
  message.phase_seconds = std::move(phases);
  return message;
}

/// 0.2 s of forward and so on for each lane; waiting fills the step up.
std::map<std::string, double> usual(double lanes = 1.0) {
  return {
      {"load", 0.001 * lanes}, {"forward", 0.2 * lanes}, {"router", 0.02 * lanes}, {"backward", 0.4 * lanes},
      {"expert", 0.3},         {"dispatch", 0.1},        {"reduce", 0.1}};
}

/// Feeds steps to a watch; rank `slow` takes `factor` times as long in a phase.
std::vector<Straggler> watch(StragglerWatch& watch, std::int64_t workers, std::int64_t steps,
                             std::int64_t slow, const std::string& phase, double factor,
                             std::int64_t first = 1) {
  std::vector<Straggler> found;
  for (std::int64_t step = first; step < first + steps; ++step) {
    for (std::int64_t rank = 0; rank < workers; ++rank) {
      auto phases = usual();
      if (rank == slow) phases[phase] *= factor;
      if (const auto straggler = watch.observe(report(rank, step, phases))) found.push_back(*straggler);
    }
  }
  return found;
}

TEST(StragglerWatch, NamesTheSlowWorkerAndItsPhaseOnce) {
  for (const char* phase : {"forward", "backward"}) {
    for (const std::int64_t slow : {0, 2, 3}) {
      StragglerWatch stragglers(2.0, 4, 4);
      const auto found = watch(stragglers, 4, 10 * kWindow, slow, phase, 2.5);
      ASSERT_EQ(found.size(), 1U);
      EXPECT_EQ(found[0].rank, slow);
      EXPECT_EQ(found[0].phase, phase);
      EXPECT_NEAR(found[0].factor(), 2.5, 1e-9);
      EXPECT_EQ(stragglers.stragglers().size(), 1U);
    }
  }
}

TEST(StragglerWatch, OfTwoWorkersToo) {
  StragglerWatch stragglers(2.0, 2, 8);
  EXPECT_EQ(watch(stragglers, 2, 4 * kWindow, 1, "backward", 3.0).size(), 1U);
}

TEST(StragglerWatch, ForgetsAWorkerThatIsWellAgain) {
  StragglerWatch stragglers(2.0, 2, 2);
  EXPECT_EQ(watch(stragglers, 2, 2 * kWindow, 1, "forward", 3.0).size(), 1U);
  EXPECT_TRUE(watch(stragglers, 2, 2 * kWindow, 1, "forward", 1.0, 2 * kWindow + 1).empty());
  EXPECT_TRUE(stragglers.stragglers().empty());
}

TEST(StragglerWatch, SayNothingOfWhatIsNoFaultOfTheWorkers) {
  for (const char* phase : {"expert", "dispatch", "combine", "reduce"}) {  // uneven load, waiting for others
    StragglerWatch stragglers(2.0, 4, 4);
    EXPECT_TRUE(watch(stragglers, 4, 4 * kWindow, 1, phase, 20.0).empty()) << phase;
  }
  StragglerWatch short_phase(2.0, 4, 4);
  EXPECT_TRUE(watch(short_phase, 4, 4 * kWindow, 1, "load", 20.0).empty());  // 2 % of the step
  StragglerWatch off(0.0, 4, 4);
  EXPECT_TRUE(watch(off, 4, 4 * kWindow, 1, "forward", 20.0).empty());
}

TEST(StragglerWatch, AWorkerWithTwiceTheLanesIsNotSlow) {
  StragglerWatch stragglers(1.5, 3, 4);  // worker 0 has two lanes
  for (std::int64_t step = 1; step <= 4 * kWindow; ++step)
    for (std::int64_t rank = 0; rank < 3; ++rank)
      EXPECT_FALSE(stragglers.observe(report(rank, step, usual(rank == 0 ? 2.0 : 1.0))));
}

TEST(StragglerWatch, NoFalseAlarmInAMillionNoisySteps) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> noise(0.0, 0.3);
  std::bernoulli_distribution hiccup(0.2);  // something else runs: 10 times as long
  StragglerWatch stragglers(2.0, 4, 4);
  for (std::int64_t step = 1; step <= 50000; ++step) {
    for (std::int64_t rank = 0; rank < 4; ++rank) {
      auto phases = usual();
      for (auto& [phase, seconds] : phases) seconds *= noise(random) * (hiccup(random) ? 10.0 : 1.0);
      EXPECT_FALSE(stragglers.observe(report(rank, step, phases))) << step;
    }
  }
}

TEST(StragglerWatch, FindsEveryOneOfAHundredSlowWorkersInNoise) {
  std::mt19937_64 random(11);
  std::lognormal_distribution<double> noise(0.0, 0.3);
  for (int trial = 0; trial < 100; ++trial) {
    StragglerWatch stragglers(2.0, 4, 4);
    const std::int64_t slow = trial % 4;
    const std::string phase = trial % 2 == 0 ? "forward" : "backward";
    for (std::int64_t step = 1; step <= 4 * kWindow; ++step) {
      for (std::int64_t rank = 0; rank < 4; ++rank) {
        auto phases = usual();
        for (auto& [name, seconds] : phases)
          seconds *= noise(random) * (rank == slow && name == phase ? 4.0 : 1.0);
        static_cast<void>(stragglers.observe(report(rank, step, phases)));
      }
    }
    ASSERT_EQ(stragglers.stragglers().size(), 1U) << trial;
    EXPECT_EQ(stragglers.stragglers().begin()->first, slow);
    EXPECT_EQ(stragglers.stragglers().begin()->second.phase, phase);
  }
}

}  // namespace
}  // namespace troupe::coordinator
