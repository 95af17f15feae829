#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <string>

#include "tests/coordinator/run/simulated_cluster.h"

namespace troupe::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kSeeds = 200;

std::vector<std::int64_t> numbers(std::int64_t first, std::int64_t last) {
  std::vector<std::int64_t> result(static_cast<std::size_t>(std::max<std::int64_t>(last - first + 1, 0)));
  std::iota(result.begin(), result.end(), first);
  return result;
}

/// What holds however a run ends.
void expect_sound(const SimulatedCluster& cluster) {
  EXPECT_EQ(cluster.outcomes, 1) << "a run ends once";
  const RecordingObserver& observer = cluster.observer;
  EXPECT_EQ(observer.steps,
            numbers(cluster.options.first_step + 1,
                    cluster.options.first_step + static_cast<std::int64_t>(observer.steps.size())))
      << "each step once, in order";
  for (const auto& [rank_and_step, times] : observer.worker_steps) EXPECT_EQ(times, 1);
  EXPECT_EQ(observer.states.back(), RunState::kEnded);
}

void expect_complete(const SimulatedCluster& cluster) {
  expect_sound(cluster);
  EXPECT_EQ(cluster.outcome().result, RunResult::kFinished) << cluster.outcome().message;
  EXPECT_EQ(cluster.observer.steps, numbers(cluster.options.first_step + 1, cluster.options.steps));
  EXPECT_EQ(cluster.observer.worker_steps.size(),
            static_cast<std::size_t>(cluster.options.workers *
                                     (cluster.options.steps - cluster.options.first_step)));
  EXPECT_EQ(cluster.dismissed_workers(), cluster.options.workers);
}

TEST(CoordinatorSimulation, EveryRunWithoutFaultsFinishesAndTellsEverythingOnce) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedCluster cluster({.seed = seed});
    cluster.start_workers();
    ASSERT_TRUE(cluster.run());
    expect_complete(cluster);
    EXPECT_THAT(cluster.commits.committed, ElementsAre(5, 10, 12));
    EXPECT_THAT(cluster.observer.evaluations, ElementsAre(0, 4, 8, 12));
    EXPECT_EQ(cluster.outcome().checkpoint, "/checkpoints/12");
    EXPECT_EQ(cluster.outcome().tokens, 1200);
    EXPECT_DOUBLE_EQ(cluster.outcome().loss.value(), 1.0 / 12.0);
  }
}

TEST(CoordinatorSimulation, ManyWorkersAreNoDifferent) {
  for (const std::int64_t workers : {1, 64, 1000}) {
    SCOPED_TRACE(workers);
    SimulatedCluster cluster({.seed = 3, .workers = workers, .steps = 4, .save_every = 2});
    cluster.start_workers();
    ASSERT_TRUE(cluster.run());
    expect_complete(cluster);
    EXPECT_THAT(cluster.commits.committed, ElementsAre(2, 4));
  }
}

TEST(CoordinatorSimulation, AResumedRunDoesOnlyWhatIsLeft) {
  SimulatedCluster cluster({.seed = 1, .first_step = 5});
  cluster.start_workers();
  ASSERT_TRUE(cluster.run());
  expect_complete(cluster);
  EXPECT_THAT(cluster.commits.committed, ElementsAre(10, 12));
  EXPECT_THAT(cluster.observer.evaluations, ElementsAre(8, 12));
}

TEST(CoordinatorSimulation, AStopAtAnyMomentSavesTheStepItEndsAt) {
  int stopped = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedCluster cluster({.seed = seed, .steps = 40, .save_every = 0});
    cluster.start_workers();
    cluster.after(milliseconds(10 * seed), [&] { cluster.request_stop(); });
    ASSERT_TRUE(cluster.run());
    expect_sound(cluster);
    if (cluster.outcome().result != RunResult::kStopped) {
      expect_complete(cluster);
      continue;
    }
    ++stopped;
    EXPECT_EQ(static_cast<std::int64_t>(cluster.observer.steps.size()), cluster.trained_steps());
    if (cluster.trained_steps() > 0) {
      EXPECT_THAT(cluster.commits.committed, ElementsAre(cluster.trained_steps()));
    }
  }
  EXPECT_GT(stopped, static_cast<int>(kSeeds / 4)) << "the simulation does not test what it should";
}

TEST(CoordinatorSimulation, AWorkerThatDiesAtAnyMomentEndsTheRunAndIsNamed) {
  int named = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedCluster cluster({.seed = seed, .steps = 120});
    const auto victim = static_cast<std::int64_t>(seed % 3);
    cluster.start_workers();
    cluster.after(milliseconds(1000 + 20 * seed), [&] {
      if (!cluster.has_ended()) cluster.kill(victim);
    });
    ASSERT_TRUE(cluster.run());
    expect_sound(cluster);
    if (cluster.outcome().result == RunResult::kFinished) continue;  // it had all that it needed
    ++named;
    EXPECT_EQ(cluster.outcome().result, RunResult::kFailed);
    EXPECT_THAT(cluster.outcome().message,
                HasSubstr("worker " + std::to_string(victim) + " (host host" + std::to_string(victim) +
                          ", process 100" + std::to_string(victim) + ") is gone"));
  }
  EXPECT_GT(named, static_cast<int>(kSeeds / 4));
}

TEST(CoordinatorSimulation, AWorkerThatDiesBeforeAllJoinedEndsTheRunToo) {
  SimulatedCluster cluster({.seed = 1});
  cluster.start_worker(cluster.identity_of(1));
  cluster.run_for(seconds(1));
  cluster.kill(1);
  ASSERT_TRUE(cluster.run());
  EXPECT_THAT(cluster.outcome().message,
              HasSubstr("worker 1 (host host1, process 1001) is gone before its first step"));
}

TEST(CoordinatorSimulation, AFrozenWorkerIsNamedAndForgottenWhenItComesBack) {
  for (std::uint64_t seed = 0; seed < kSeeds / 4; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedCluster cluster({.seed = seed, .steps = 120});
    cluster.start_workers();
    cluster.run_for(milliseconds(1500));
    cluster.freeze(2);
    cluster.run_for(milliseconds(2600));
    EXPECT_TRUE(cluster.observer.noted("worker 2 (host host2, process 1002) has been silent"));
    EXPECT_TRUE(cluster.observer.newest_membership.workers.at(2).suspected);
    EXPECT_FALSE(cluster.observer.noted("worker 0"));
    EXPECT_FALSE(cluster.observer.noted("worker 1"));
    cluster.thaw(2);
    ASSERT_TRUE(cluster.run());
    expect_complete(cluster);
    EXPECT_TRUE(cluster.observer.noted("worker 2 (host host2, process 1002) is back"));
  }
}

TEST(CoordinatorSimulation, AWorkerThatStaysFrozenEndsTheRunAfterAMinute) {
  SimulatedCluster cluster({.seed = 1, .steps = 120});
  cluster.start_workers();
  cluster.run_for(milliseconds(1500));
  cluster.freeze(1);
  ASSERT_TRUE(cluster.run());
  EXPECT_EQ(cluster.outcome().result, RunResult::kFailed);
  EXPECT_THAT(cluster.outcome().message, HasSubstr("worker 1 (host host1, process 1001) is gone"));
  EXPECT_THAT(cluster.outcome().message, HasSubstr("silent for 60 s"));
}

TEST(CoordinatorSimulation, EveryOneOfAHundredFrozenWorkersIsNamedWithThePhaseInWhichTheOthersWait) {
  const std::array<std::string, 4> phases{"dispatch", "combine", "reduce", "update"};
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedCluster cluster({.seed = seed, .steps = 120});
    cluster.start_workers();
    cluster.run_for(milliseconds(1100 + 7 * seed));
    const auto frozen = static_cast<std::int64_t>(seed % 3);
    const std::string& phase = phases.at(seed / 3 % 4);
    for (std::int64_t rank = 0; rank < 3; ++rank) {  // their last heartbeats; the frozen one's is older
      comm::RankPlace place{.rank = rank, .phase = phase, .layer = 2, .collective = "sum", .collectives = 8};
      if (rank == frozen)
        place = {.rank = rank, .phase = "load", .layer = -1, .collective = "", .collectives = 7};
      cluster.say(rank, comm::WorkerActive{rank, 9, "training", {place}});
    }
    cluster.run_for(milliseconds(10));
    cluster.freeze(frozen);
    ASSERT_TRUE(cluster.run());
    EXPECT_THAT(
        cluster.outcome().message,
        ::testing::AllOf(HasSubstr("is gone in step "), HasSubstr(", load, and is silent"),
                         HasSubstr(fmt::format("{}, layer 2, sum", phase)), HasSubstr("wait for it")));
    EXPECT_THAT(cluster.outcome().message, ::testing::StartsWith(fmt::format("worker {} (", frozen)));
  }
}

TEST(CoordinatorSimulation, NobodyIsBlamedForASlowCoordinator) {
  // Messages lie in the coordinator's mailboxes for seconds, as after SIGSTOP and SIGCONT.
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedCluster cluster({.seed = seed, .mailbox_delay = seconds(5)});
    cluster.start_workers();
    ASSERT_TRUE(cluster.run());
    expect_complete(cluster);
    EXPECT_FALSE(cluster.observer.noted("has been silent"));
    EXPECT_TRUE(cluster.observer.noted("the coordinator stood still"));
  }
}

TEST(CoordinatorSimulation, AWorkersOwnWordsCountMoreThanWhatFollowsFromThem) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedCluster cluster({.seed = seed, .steps = 120});
    cluster.start_workers();
    cluster.run_for(milliseconds(1500));
    cluster.break_down(0, "peer lost", "rank 2 does not answer");
    cluster.run_for(milliseconds(30));  // the coordinator hears of the consequence first
    cluster.break_down(2, "input/output", "the disk is gone");
    ASSERT_TRUE(cluster.run());
    EXPECT_THAT(cluster.outcome().message, HasSubstr("worker 2 (host host2, process 1002) failed"));
    EXPECT_THAT(cluster.outcome().message, HasSubstr("the disk is gone"));
  }
}

TEST(CoordinatorSimulation, AJobThatEndsBeforeWorkersJoinIsToldWithTheMissingOnes) {
  SimulatedCluster cluster({.seed = 1});
  cluster.start_worker(cluster.identity_of(1));
  cluster.run_for(seconds(1));
  EXPECT_EQ(cluster.controller.send(JobEnded{"exited with code 2"}), actors::Delivery::kDelivered);
  ASSERT_TRUE(cluster.run());
  EXPECT_THAT(cluster.outcome().message,
              HasSubstr("the worker job exited with code 2 before these workers had joined: 0, 2 of 3"));
}

TEST(CoordinatorSimulation, WorkersThatNeverComeEndTheRun) {
  SimulatedCluster cluster({.seed = 1});
  cluster.start_worker(cluster.identity_of(0));
  ASSERT_TRUE(cluster.run());
  EXPECT_EQ(cluster.outcome().result, RunResult::kFailed);
  EXPECT_THAT(cluster.outcome().message, HasSubstr("after 120 s these workers had not joined: 1-2 of 3"));
}

TEST(CoordinatorSimulation, AWorkerWithOtherNumbersIsRefusedWithBothFingerprints) {
  SimulatedCluster cluster({.seed = 1});
  cluster.start_worker(cluster.identity_of(0));
  cluster.run_for(seconds(1));
  comm::JoinRequested other = cluster.identity_of(1);
  other.numerics_fingerprint = 43;
  cluster.start_worker(other);
  ASSERT_TRUE(cluster.run());
  EXPECT_EQ(cluster.outcome().result, RunResult::kFailed);
  EXPECT_THAT(cluster.outcome().message, HasSubstr("worker 1 (host host1, process 1001) was refused"));
  EXPECT_THAT(cluster.outcome().message, HasSubstr("000000000000002b"));
  EXPECT_THAT(cluster.outcome().message, HasSubstr("000000000000002a"));
}

TEST(CoordinatorSimulation, WorkersOfAnEarlierEpochChangeNothing) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedCluster cluster({.seed = seed});
    const auto stale = cluster.network.make_client(SimulatedCluster::kEpoch - 1, "stale");
    stale->start({});
    (void)stale->send(cluster.identity_of(0));
    (void)stale->send(comm::WorkerFailed{.rank = 0, .error_code = "internal", .message = "stale"});
    comm::ShardWritten shard;
    shard.step = 5;
    shard.folder = ".tmp-5";
    (void)stale->send(shard);
    cluster.start_workers();
    ASSERT_TRUE(cluster.run());
    expect_complete(cluster);
    EXPECT_THAT(cluster.commits.committed, ElementsAre(5, 10, 12));
  }
}

TEST(CoordinatorSimulation, AFailedPartAbandonsTheCheckpointAndTrainingGoesOn) {
  SimulatedCluster cluster({.seed = 1, .failing_shard = 1});
  cluster.start_workers();
  ASSERT_TRUE(cluster.run());
  expect_sound(cluster);
  EXPECT_THAT(cluster.commits.committed, IsEmpty());
  EXPECT_THAT(cluster.commits.abandoned, ElementsAre(5, 10, 12));
  EXPECT_EQ(cluster.observer.steps, numbers(1, 12));
  ASSERT_EQ(cluster.observer.checkpoints.size(), 3U);
  EXPECT_EQ(cluster.observer.checkpoints[0].error, "worker 1: no space left on device");
}

TEST(CoordinatorSimulation, ARunWhoseLastCheckpointFailedDoesNotClaimSuccess) {
  SimulatedCluster cluster({.seed = 1});
  cluster.commits.failure = "the disk is full";
  cluster.start_workers();
  ASSERT_TRUE(cluster.run());
  EXPECT_EQ(cluster.outcome().result, RunResult::kFailed);
  EXPECT_THAT(cluster.outcome().message,
              HasSubstr("step 12 is done, but its checkpoint could not be written: the disk "
                        "is full"));
}

TEST(CoordinatorSimulation, ARunThatDivergedFailsOnceEverythingIsSettledAndSaysFromWhere) {
  SimulatedCluster cluster({.seed = 1, .steps = 120});
  cluster.start_workers();
  cluster.run_for(milliseconds(1500));
  for (const std::int64_t rank : {0, 1, 2}) {
    cluster.say(
        rank, comm::TrainingEnded{
                  .rank = rank, .step = 9, .diverged = "5 steps in a row", .updates = 4, .data_cursor = 72});
  }
  ASSERT_TRUE(cluster.run());
  EXPECT_EQ(cluster.outcome().result, RunResult::kFailed);
  EXPECT_EQ(cluster.outcome().divergence, (Divergence{4, 72}));
  EXPECT_EQ(cluster.outcome().failure, std::nullopt);
  EXPECT_TRUE(cluster.outcome().workers_leave);
  EXPECT_THAT(cluster.outcome().message, HasSubstr("5 steps in a row"));
}

TEST(CoordinatorSimulation, WhoHoldsOtherNumbersIsNamedAheadOfThoseWhoLostIt) {
  SimulatedCluster cluster({.seed = 1, .steps = 120});
  cluster.start_workers();
  cluster.run_for(milliseconds(1500));
  cluster.break_down(0, "peer lost", "worker 2 holds other dense parameters");
  cluster.break_down(2, std::string(comm::kDeviates), "it holds other dense parameters");
  ASSERT_TRUE(cluster.run());
  EXPECT_EQ(cluster.outcome().failure->kind, FailureKind::kDeviates);
  EXPECT_THAT(cluster.outcome().message, HasSubstr("worker 2 (host host2"));
}

TEST(CoordinatorSimulation, ASecondSignalEndsAtOnce) {
  SimulatedCluster cluster({.seed = 1, .steps = 1000});
  cluster.start_workers();
  cluster.run_for(milliseconds(1500));
  EXPECT_EQ(cluster.controller.send(StopRequested{"SIGINT", 2}), actors::Delivery::kDelivered);
  ASSERT_TRUE(cluster.run());
  EXPECT_EQ(cluster.outcome().result, RunResult::kAborted);
  EXPECT_EQ(exit_code(cluster.outcome()), 130);
}

TEST(CoordinatorSimulation, AWorkerThatSpeaksForAnotherIsNotBelieved) {
  SimulatedCluster cluster({.seed = 1, .steps = 120});
  cluster.start_workers();
  cluster.run_for(milliseconds(1500));
  cluster.say(1, comm::TrainingEnded{.rank = 0, .step = 120, .finished = true});
  ASSERT_TRUE(cluster.run());
  expect_complete(cluster);
  EXPECT_TRUE(cluster.observer.noted("worker 1 (host host1, process 1001) spoke for rank 0: ignored"));
}

}  // namespace
}  // namespace troupe::coordinator
