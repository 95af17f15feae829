#include "coordinator/coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <numeric>
#include <thread>

#include "base/child_process.h"
#include "base/error.h"
#include "base/signals.h"
#include "comm/control/link/contact.h"
#include "comm/control/tcp/tcp_client.h"
#include "tests/coordinator/run/simulated_cluster.h"
#include "workers/agent/worker_agent.h"

namespace troupe::coordinator {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Commits by counting parts.
class CountingCommits final : public CheckpointCommits {
 public:
  CommittedCheckpoint commit(const CheckpointAttempt& attempt) override {
    parts.push_back(attempt.shards.size());
    return {"/checkpoint", 1};
  }
  void abandon(std::int64_t, comm::Epoch) override {}
  std::vector<std::size_t> parts;
};

/// Sends a signal to this process once the run reached a step.
class SignalAtStep final : public RunObserver {
 public:
  SignalAtStep(std::int64_t step, int signal) : step_(step), signal_(signal) {}
  void step_finished(const StepView& step) override {
    if (step.report.step == step_) ::kill(::getpid(), signal_);
  }

 private:
  std::int64_t step_;
  int signal_;
};

/// A coordinator over real sockets, and worker processes or threads that are no trainers.
class CoordinatorTest : public ::testing::Test {
 protected:
  CoordinatorTest()
      : parent_(fs::path(::testing::TempDir()) / ("coordinator_test_" + std::to_string(::getpid()))),
        folder_(RunFolder::open(parent_ / "run")) {
    options_.workers = 3;
    options_.schedule.run.steps = 20;
    options_.schedule.checkpoint.every = 0;
  }
  ~CoordinatorTest() override { fs::remove_all(parent_); }

  RunOutcome run_supervised(const std::string& behaviour, RunObserver& observer) {
    ::setenv("TROUPE_STAND_IN", behaviour.c_str(), 1);
    ::setenv("TROUPE_WORKERS", "3", 1);
    JobOptions job;
    job.command = {STAND_IN_WORKER, "worker", "--run-dir", folder_.path()};
    job.workers = 3;
    job.backend = layout::Backend::kInproc;
    Coordinator coordinator(options_, folder_, commits_, observer);
    RunOutcome outcome = coordinator.run_supervised(job);
    EXPECT_THAT(children_of_this_process(), IsEmpty()) << "a process is left behind";
    return outcome;
  }

  /// One worker of several, in a thread of this process.
  [[nodiscard]] std::thread worker_thread(const Coordinator& coordinator, std::int64_t rank,
                                          std::int64_t leaves_after = 20) const {
    return std::thread([this, job = coordinator.job(), rank, leaves_after] {
      const SystemClock clock;
      comm::TcpControlClient client(comm::read_contact(folder_.path() / "contact.json"), {}, clock);
      workers::WorkerAgent agent(client);
      comm::JoinRequested identity = workers::identify(folder_.path(), rank, 1, 3, 42);
      identity.job = job;
      (void)agent.join(identity);
      EXPECT_EQ(agent.plan(1).last_step, 20);
      for (std::int64_t step = 1; step <= std::min<std::int64_t>(20, leaves_after); ++step) {
        comm::StepFinished report;
        report.rank = rank;
        report.step = step;
        agent.report(report);
      }
      if (leaves_after < 20) {
        EXPECT_TRUE(client.wait_until_acknowledged(std::chrono::seconds(30)));
        return;  // without a word
      }
      comm::ShardWritten shard;
      shard.rank = rank;
      shard.step = 20;
      agent.report(shard);
      const std::array<comm::TrainingEnded, 1> ended{comm::TrainingEnded{rank, 20, true}};
      try {
        agent.finish(ended);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kPeerLost);  // after another one left
      }
    });
  }

  fs::path parent_;
  RunFolder folder_;
  CoordinatorOptions options_;
  CountingCommits commits_;
  RecordingObserver observer_;
};

std::vector<std::int64_t> steps_up_to(std::int64_t last) {
  std::vector<std::int64_t> steps(static_cast<std::size_t>(last));
  std::iota(steps.begin(), steps.end(), 1);
  return steps;
}

TEST_F(CoordinatorTest, ClassicModeTrainsWorkersThatSomeoneElseStarted) {
  Coordinator coordinator(options_, folder_, commits_, observer_);
  EXPECT_EQ(coordinator.contact_file(), folder_.path() / "contact.json");
  std::vector<std::thread> workers;
  for (const std::int64_t rank : {2, 0, 1}) workers.push_back(worker_thread(coordinator, rank));
  const RunOutcome outcome = coordinator.run_classic();
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(outcome.result, RunResult::kFinished) << outcome.message;
  EXPECT_EQ(observer_.steps, steps_up_to(20));
  EXPECT_EQ(observer_.worker_steps.size(), 60U);
  EXPECT_THAT(commits_.parts, ElementsAre(3U));
}

TEST_F(CoordinatorTest, AWorkerThatLeavesWithoutAWordFailsTheRunAndIsNamed) {
  Coordinator coordinator(options_, folder_, commits_, observer_);
  std::vector<std::thread> workers;
  for (const std::int64_t rank : {0, 1, 2})
    workers.push_back(worker_thread(coordinator, rank, rank == 1 ? 7 : 20));
  const RunOutcome outcome = coordinator.run_classic();
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(outcome.result, RunResult::kFailed);
  EXPECT_THAT(outcome.message, HasSubstr("worker 1 (host "));
  EXPECT_EQ(exit_code(outcome), 1);
}

TEST_F(CoordinatorTest, AProcessOfNoJobIsTurnedAwayAndTheRunGoesOn) {
  Coordinator coordinator(options_, folder_, commits_, observer_);
  std::thread intruder([&] {  // knows everything that is in the run's folder
    const SystemClock clock;
    comm::TcpControlClient client(comm::read_contact(coordinator.contact_file()), {}, clock);
    workers::WorkerAgent agent(client);
    try {
      (void)agent.join(workers::identify(folder_.path(), 0, 1, 3, 42));
      ADD_FAILURE() << "it was let in";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("it does not belong to the run's job"));
    }
  });
  std::vector<std::thread> workers;
  std::thread rest([&] {
    intruder.join();  // it was first
    for (const std::int64_t rank : {0, 1, 2}) workers.push_back(worker_thread(coordinator, rank));
  });
  const RunOutcome outcome = coordinator.run_classic();
  rest.join();
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(outcome.result, RunResult::kFinished) << outcome.message;
  EXPECT_TRUE(observer_.noted("tried to join, but does not belong to the run's job: refused"));
}

TEST_F(CoordinatorTest, AWorkerOfAnEarlierStartCannotJoin) {
  std::optional<Coordinator> first(std::in_place, options_, folder_, commits_, observer_);
  const comm::Contact old_contact = comm::read_contact(first->contact_file());
  const std::string old_job = first->job();
  first.reset();
  options_.control.port = old_contact.port;
  Coordinator second(options_, folder_, commits_, observer_);
  std::thread stale([&] {
    const SystemClock clock;
    const auto expect_refusal = [&](const comm::Contact& contact, const std::string& reason) {
      comm::TcpControlClient client(contact, {}, clock, {.connect = std::chrono::milliseconds(300)});
      workers::WorkerAgent agent(client);
      comm::JoinRequested identity = workers::identify(folder_.path(), 0, 1, 3, 42);
      identity.job = old_job;
      try {
        (void)agent.join(identity);
        ADD_FAILURE() << "it was let in";
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr(reason));
      }
    };
    expect_refusal(old_contact, "another run's secret");  // it was slow to start
    expect_refusal(comm::read_contact(second.contact_file()), "it does not belong to the run's job");
    second.request_stop("the test");
  });
  EXPECT_EQ(second.run_classic().result, RunResult::kStopped);
  stale.join();
}

TEST_F(CoordinatorTest, SupervisedModeStartsAJobAndLeavesNothingBehind) {
  const RunOutcome outcome = run_supervised("finish", observer_);
  EXPECT_EQ(outcome.result, RunResult::kFinished) << outcome.message << outcome.log_tail;
  EXPECT_EQ(exit_code(outcome), 0);
  EXPECT_EQ(outcome.step, 20);
  EXPECT_EQ(outcome.loss, 1.0 / 20.0);
  EXPECT_EQ(outcome.checkpoint, "/checkpoint");
  EXPECT_EQ(observer_.steps, steps_up_to(20));
  EXPECT_TRUE(fs::exists(folder_.logs() / "workers-1.log"));
}

TEST_F(CoordinatorTest, AKilledWorkerIsNamedAndTheEndOfItsOutputShown) {
  const RunOutcome outcome = run_supervised("crash", observer_);
  EXPECT_EQ(outcome.result, RunResult::kFailed);
  EXPECT_THAT(outcome.message, HasSubstr("workers 0-2 (host "));
  EXPECT_THAT(outcome.message, HasSubstr("is gone in step 5 (training)"));
  EXPECT_EQ(outcome.failure, (RunFailure{FailureKind::kWorkerGone, true, false}));
  EXPECT_EQ(outcome.log_tail, "the stand-in is about to crash\n");
}

TEST_F(CoordinatorTest, AWorkersOwnErrorIsTheRunsError) {
  const RunOutcome outcome = run_supervised("break", observer_);
  EXPECT_EQ(outcome.result, RunResult::kFailed);
  EXPECT_THAT(outcome.message, HasSubstr("the stand-in breaks"));
}

TEST_F(CoordinatorTest, AJobThatDoesNotEvenJoinIsReportedWithItsOutput) {
  const RunOutcome outcome = run_supervised("usage", observer_);
  EXPECT_EQ(outcome.result, RunResult::kFailed);
  EXPECT_THAT(outcome.message,
              HasSubstr("the worker job exited with code 2 before these workers had joined: 0-2"));
  EXPECT_THAT(outcome.log_tail, HasSubstr("no such corpus"));
  EXPECT_EQ(outcome.failure, (RunFailure{FailureKind::kJobEnded, false, false}));
}

TEST_F(CoordinatorTest, ASignalSavesAndStops) {
  for (const int signal : signals::kStopSignals) {
    SignalAtStep at_step(5, signal);
    const RunOutcome outcome = run_supervised("wait", at_step);
    EXPECT_EQ(outcome.result, RunResult::kStopped) << outcome.message;
    EXPECT_EQ(exit_code(outcome), 75);
    EXPECT_EQ(outcome.step, 5);
  }
  EXPECT_THAT(commits_.parts, SizeIs(std::size(signals::kStopSignals)));
}

TEST_F(CoordinatorTest, EveryStartIsAnEpochOfItsOwn) {
  EXPECT_EQ(Coordinator(options_, folder_, commits_, observer_).epoch(), 1);
  const Coordinator second(options_, folder_, commits_, observer_);
  EXPECT_EQ(second.epoch(), 2);
  EXPECT_EQ(comm::read_contact(second.contact_file()).epoch, 2);
}

}  // namespace
}  // namespace troupe::coordinator
