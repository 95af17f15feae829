#include "workers/agent/worker_agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>
#include <variant>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "comm/control/link/run_files.h"
#include "tests/scratch_folder.h"

namespace troupe::workers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A link whose other end is the test.
class ScriptedClient final : public comm::ControlClient {
 public:
  void start(actors::Address<comm::ClientEvents> address) override {
    const std::lock_guard lock(mutex_);
    events_ = std::move(address);
    changed_.notify_all();
  }
  actors::Delivery send(const comm::WorkerMessage& message) override {
    const std::lock_guard lock(mutex_);
    if (lost_) return actors::Delivery::kDead;
    if (full_) return actors::Delivery::kFull;
    sent_.push_back(message);
    changed_.notify_all();
    return actors::Delivery::kDelivered;
  }
  std::size_t unacknowledged() const override { return 0; }
  bool wait_until_acknowledged(Duration) override {
    const std::lock_guard lock(mutex_);
    full_ = false;  // the coordinator woke up
    ++waits_;
    return true;
  }
  void finish() override { say(comm::LinkFinished{}); }

  /// The coordinator says something.
  void say(const comm::CoordinatorMessage& message) { say(comm::CoordinatorMessageArrived{1, message}); }
  void lose(const std::string& reason) {
    {
      const std::lock_guard lock(mutex_);
      lost_ = true;
    }
    say(comm::CoordinatorLost{reason});
  }
  void fill() {
    const std::lock_guard lock(mutex_);
    full_ = true;
  }
  [[nodiscard]] int waits() {
    const std::lock_guard lock(mutex_);
    return waits_;
  }

  /// Waits for a message of this type; the first that was sent.
  template <class Message>
  Message sent() {
    std::unique_lock lock(mutex_);
    for (;;) {
      for (const comm::WorkerMessage& message : sent_) {
        if (const auto* found = std::get_if<Message>(&message)) return *found;
      }
      changed_.wait(lock);
    }
  }

 private:
  template <class Event>
  requires actors::AcceptedBy<Event, comm::ClientEvents>
  void say(const Event& event) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return events_ != actors::Address<comm::ClientEvents>(); });
    EXPECT_EQ(events_.send(event), actors::Delivery::kDelivered);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  actors::Address<comm::ClientEvents> events_;
  std::vector<comm::WorkerMessage> sent_;
  bool full_ = false;
  bool lost_ = false;
  int waits_ = 0;
};

comm::StepPlan plan_of_version(std::int64_t version) {
  comm::StepPlan plan;
  plan.version = version;
  return plan;
}

class WorkerAgentTest : public ::testing::Test {
 protected:
  static AgentOptions quick() {
    AgentOptions options;
    options.activity_interval = std::chrono::milliseconds(1);
    return options;
  }
  void join(WorkerAgent& agent) {
    auto started = std::async(std::launch::async, [&] { return agent.join({}); });
    client_.say(comm::StartTraining{2, "/checkpoint"});
    EXPECT_EQ(started.get(), (comm::StartTraining{2, "/checkpoint"}));
  }

  ScriptedClient client_;
};

TEST_F(WorkerAgentTest, JoinSaysWhoItIsAndWaitsForTheStart) {
  WorkerAgent agent(client_);
  comm::JoinRequested identity;
  identity.first_rank = 1;
  auto started = std::async(std::launch::async, [&] { return agent.join(identity); });
  EXPECT_EQ(client_.sent<comm::JoinRequested>(), identity);
  client_.say(comm::StartTraining{2, ""});
  EXPECT_EQ(started.get().world_size, 2);
}

TEST_F(WorkerAgentTest, ARefusalIsAnErrorWithTheCoordinatorsWords) {
  WorkerAgent agent(client_);
  auto started = std::async(std::launch::async, [&] { return agent.join({}); });
  (void)client_.sent<comm::JoinRequested>();
  client_.say(comm::Refuse{"its rank 1 is taken"});
  try {
    (void)started.get();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfig);
    EXPECT_THAT(error.what(), HasSubstr("its rank 1 is taken"));
  }
}

TEST_F(WorkerAgentTest, JoiningEndsAtItsLimit) {
  AgentOptions options;
  options.join_limit = std::chrono::milliseconds(1);
  WorkerAgent agent(client_, options);
  EXPECT_THROW((void)agent.join({}), Error);
}

TEST_F(WorkerAgentTest, APlanIsWaitedForAndOlderOnesDoNotReplaceIt) {
  WorkerAgent agent(client_);
  join(agent);
  EXPECT_EQ(agent.newest_plan_version(), 0);
  auto plan = std::async(std::launch::async, [&] { return agent.plan(2); });
  client_.say(plan_of_version(1));
  client_.say(plan_of_version(3));
  client_.say(plan_of_version(2));
  EXPECT_EQ(plan.get().version, 3);
  EXPECT_EQ(agent.newest_plan_version(), 3);
}

TEST_F(WorkerAgentTest, AStopCanComeFromTheCoordinatorOrFromASignal) {
  WorkerAgent first(client_);
  join(first);
  EXPECT_FALSE(first.stop_requested());
  client_.say(comm::StopTraining{"SIGTERM"});
  client_.say(plan_of_version(1));
  (void)first.plan(1);  // what was said before has arrived, too
  EXPECT_TRUE(first.stop_requested());

  ScriptedClient other;
  WorkerAgent second(other);
  second.request_stop();
  EXPECT_TRUE(second.stop_requested());
}

TEST_F(WorkerAgentTest, AReportWaitsOnlyWhileTheQueueIsFull) {
  WorkerAgent agent(client_);
  agent.report(comm::StepFinished{});
  EXPECT_EQ(client_.waits(), 0);
  client_.fill();
  agent.report(comm::SampleFinished{});
  EXPECT_EQ(client_.waits(), 1);
  (void)client_.sent<comm::SampleFinished>();
}

TEST_F(WorkerAgentTest, TheCoordinatorLearnsWhatTheWorkerDoes) {
  WorkerAgent agent(client_, quick());
  join(agent);
  agent.set_activity(5, "saving");
  EXPECT_EQ(client_.sent<comm::WorkerActive>(), (comm::WorkerActive{0, 5, "saving"}));
}

TEST_F(WorkerAgentTest, TheCoordinatorLearnsWhereAComputeThreadIs) {
  progress::Word word;
  word.rank = 1;
  progress::of_this_thread = &word;
  progress::set_step(5);
  progress::set_layer(3);
  progress::set_phase("dispatch");
  const progress::CollectiveScope waiting("barrier");
  progress::of_this_thread = nullptr;
  WorkerAgent agent(client_, quick());
  const auto watched = agent.watch(word);
  join(agent);
  EXPECT_THAT(client_.sent<comm::WorkerActive>().places,
              ElementsAre(comm::RankPlace{1, "dispatch", 3, "barrier", 1, 4}));
}

TEST_F(WorkerAgentTest, AThreadThatIsWatchedNoMoreIsNotToldOf) {
  progress::Word word;
  WorkerAgent agent(client_, quick());
  (void)agent.watch(word);
  join(agent);
  agent.set_activity(5, "saving");
  EXPECT_THAT(client_.sent<comm::WorkerActive>().places, IsEmpty());
}

TEST_F(WorkerAgentTest, ALostCoordinatorEndsEveryWaitAndIsToldOnce) {
  std::promise<std::string> told;
  AgentOptions options;
  options.on_coordinator_lost = [&](const std::string& reason) { told.set_value(reason); };
  WorkerAgent agent(client_, options);
  join(agent);
  auto plan = std::async(std::launch::async, [&] { return agent.plan(1); });
  client_.lose("the connection closed");
  EXPECT_EQ(told.get_future().get(), "the connection closed");
  try {
    (void)plan.get();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kPeerLost);
    EXPECT_THAT(error.what(), HasSubstr("the connection closed"));
  }
  EXPECT_THROW(agent.report(comm::StepFinished{}), Error);
}

TEST_F(WorkerAgentTest, FinishingReportsEveryRankAndWaitsForTheDismissal) {
  bool lost = false;
  AgentOptions options;
  options.on_coordinator_lost = [&](const std::string&) { lost = true; };
  {
    WorkerAgent agent(client_, options);
    join(agent);
    const std::array<comm::TrainingEnded, 2> ends{comm::TrainingEnded{0, 9, true},
                                                  comm::TrainingEnded{1, 9, true}};
    auto finished = std::async(std::launch::async, [&] { agent.finish(ends); });
    EXPECT_EQ(client_.sent<comm::TrainingEnded>(), ends[0]);
    client_.say(comm::Dismiss{});
    finished.get();
    client_.lose("closed");
  }
  EXPECT_FALSE(lost) << "after the dismissal that is no loss";
}

TEST_F(WorkerAgentTest, AFailureIsToldAndNeverThrows) {
  WorkerAgent agent(client_);
  agent.fail(1, "internal", "broken");
  EXPECT_EQ(client_.sent<comm::WorkerFailed>(), (comm::WorkerFailed{1, "internal", "broken"}));
}

TEST(WorkerIdentity, HasTheNonceOfTheRunFolder) {
  const test::ScratchFolder folder;
  EXPECT_EQ(identify(folder, 2, 1, 4, 7).run_folder_nonce, "");
  write_file_atomically(folder / comm::kNonceFile, "abc");
  const comm::JoinRequested identity = identify(folder, 2, 1, 4, 7);
  EXPECT_EQ(identity.run_folder_nonce, "abc");
  EXPECT_EQ(identity.first_rank, 2);
  EXPECT_EQ(identity.world_size, 4);
  EXPECT_EQ(identity.numerics_fingerprint, 7U);
  EXPECT_EQ(identity.process_id, ::getpid());
  EXPECT_FALSE(identity.host.empty());
}

}  // namespace
}  // namespace troupe::workers
