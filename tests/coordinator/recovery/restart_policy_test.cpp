#include "coordinator/recovery/restart_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troupe::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

RunOutcome failure_at(std::int64_t step, FailureKind kind = FailureKind::kWorkerGone, bool trained = true) {
  RunOutcome outcome;
  outcome.step = step;
  outcome.failure = RunFailure{kind, trained, false};
  return outcome;
}

/// 4 workers, or 2, or 1; with time.
class Decisions {
 public:
  explicit Decisions(const ElasticOptions& options = {}, std::int64_t workers = 4)
      : policy_(options, workers, [](std::int64_t more) -> std::optional<std::int64_t> {
          return more > 1 ? std::optional(more / 2) : std::nullopt;
        }) {}

  std::optional<Restart> next(const RunOutcome& outcome, Duration later = seconds(1)) {
    now_ += later;
    const auto verdict = policy_.decide(outcome, now_);
    if (const auto* end = std::get_if<NoRestart>(&verdict)) {
      reason = end->reason;
      result = end->result;
      return std::nullopt;
    }
    return std::get<Restart>(verdict);
  }

  std::string reason;
  RunResult result = RunResult::kFailed;

 private:
  RestartPolicy policy_;
  TimePoint now_{};
};

TEST(RestartPolicy, ALostWorkerIsReplacedAtOnce) {
  for (const FailureKind kind : {FailureKind::kWorkerGone, FailureKind::kPeerLost, FailureKind::kJobKilled,
                                 FailureKind::kJobEnded, FailureKind::kWorkerError, FailureKind::kDeadline}) {
    Decisions decisions;
    EXPECT_EQ(decisions.next(failure_at(12, kind)), (Restart{1, 4, {}}));
  }
}

TEST(RestartPolicy, StepsThatARollBackMadeNewCountAgain) {
  const ElasticOptions options{.max_failures_per_step = 2};
  RestartPolicy policy(options, 4, [](std::int64_t) { return std::optional<std::int64_t>(); });
  const auto restarts = [&](std::int64_t step) {
    return std::holds_alternative<Restart>(policy.decide(failure_at(step), TimePoint{}));
  };
  EXPECT_TRUE(restarts(12));
  policy.went_back(8);
  EXPECT_TRUE(restarts(10));
  EXPECT_TRUE(restarts(11));
  EXPECT_FALSE(restarts(11));
}

TEST(RestartPolicy, WhoComputesWrongNumbersIsLeftOutUnlessNobodyCanTell) {
  Decisions decisions;
  EXPECT_EQ(decisions.next(failure_at(12, FailureKind::kDeviates))->workers, 2);
  EXPECT_EQ(decisions.next(failure_at(13, FailureKind::kDisagrees))->workers, 2);
  Decisions few({.min_workers = 4});
  EXPECT_EQ(few.next(failure_at(12, FailureKind::kDeviates))->workers, 4);
}

TEST(RestartPolicy, WhatOnlyAPersonCanChangeIsNotTriedAgain) {
  for (const FailureKind kind : {FailureKind::kImpossible, FailureKind::kRefusal}) {
    Decisions decisions;
    EXPECT_EQ(decisions.next(failure_at(12, kind)), std::nullopt);
    EXPECT_EQ(decisions.reason, "");
  }
}

TEST(RestartPolicy, AFailureThatIsNoneOfTheWorkersIsNotTriedAgain) {
  RunOutcome outcome;
  outcome.message = "the coordinator failed";
  EXPECT_EQ(Decisions().next(outcome), std::nullopt);
}

TEST(RestartPolicy, NothingIsStartedAgainAfterARequestToStop) {
  RunOutcome outcome = failure_at(12);
  outcome.failure->stop_requested = true;
  EXPECT_EQ(Decisions().next(outcome), std::nullopt);
}

TEST(RestartPolicy, NoneAreAllowed) {
  ElasticOptions options;
  options.max_restarts = 0;
  EXPECT_EQ(Decisions(options).next(failure_at(12)), std::nullopt);
}

TEST(RestartPolicy, WhoSavedBeforeTheEndHasStoppedARunThatOthersStartAgain) {
  RunOutcome lost_daemon = failure_at(12);
  lost_daemon.failure->saved = true;
  ElasticOptions options;
  EXPECT_TRUE(Decisions(options).next(lost_daemon).has_value());
  options.max_restarts = 0;
  Decisions none(options);
  EXPECT_EQ(none.next(lost_daemon), std::nullopt);
  EXPECT_EQ(none.result, RunResult::kStopped);
  EXPECT_EQ(none.next(failure_at(12)), std::nullopt);
  EXPECT_EQ(none.result, RunResult::kFailed);
}

TEST(RestartPolicy, AFirstStartThatFailsByItselfEndsTheRun) {
  for (const FailureKind kind : {FailureKind::kJobEnded, FailureKind::kDeadline, FailureKind::kWorkerError})
    EXPECT_EQ(Decisions().next(failure_at(0, kind, false)), std::nullopt);
}

TEST(RestartPolicy, AFirstStartInWhichAWorkerWasKilledIsTriedAgain) {
  for (const FailureKind kind : {FailureKind::kWorkerGone, FailureKind::kPeerLost, FailureKind::kJobKilled})
    EXPECT_TRUE(Decisions().next(failure_at(0, kind, false)).has_value());
}

TEST(RestartPolicy, ALaterStartThatFailsByItselfIsTriedAgain) {
  Decisions decisions;
  ASSERT_TRUE(decisions.next(failure_at(12)));
  EXPECT_TRUE(decisions.next(failure_at(10, FailureKind::kJobEnded, false)).has_value());
}

TEST(RestartPolicy, TheSameStepIsGivenUpAfterTheThirdFailure) {
  Decisions decisions;
  ASSERT_TRUE(decisions.next(failure_at(12)));
  ASSERT_TRUE(decisions.next(failure_at(12)));
  EXPECT_EQ(decisions.next(failure_at(12)), std::nullopt);
  EXPECT_THAT(decisions.reason, HasSubstr("failure 3 without a step after step 12"));
}

TEST(RestartPolicy, AnEarlierStepIsNoProgress) {
  Decisions decisions;
  ASSERT_TRUE(decisions.next(failure_at(12)));
  ASSERT_TRUE(decisions.next(failure_at(10)));
  EXPECT_EQ(decisions.next(failure_at(11)), std::nullopt);
}

TEST(RestartPolicy, ANewStepIsProgress) {
  ElasticOptions options;
  options.max_restarts = 1000;
  Decisions decisions(options);
  for (std::int64_t step = 0; step < 100; ++step) ASSERT_TRUE(decisions.next(failure_at(step))) << step;
}

TEST(RestartPolicy, TheSameStepIsTriedAgainLaterAndLater) {
  ElasticOptions options;
  options.max_failures_per_step = 100;
  options.max_restarts = 100;
  options.backoff_seconds = 0.5;
  Decisions decisions(options);
  EXPECT_EQ(decisions.next(failure_at(12))->delay, Duration{});
  EXPECT_EQ(decisions.next(failure_at(12))->delay, milliseconds(500));
  EXPECT_EQ(decisions.next(failure_at(12))->delay, seconds(1));
  EXPECT_EQ(decisions.next(failure_at(12))->delay, seconds(2));
  EXPECT_EQ(decisions.next(failure_at(13))->delay, Duration{});
}

TEST(RestartPolicy, ARunThatFailsAllTheTimeIsGivenUp) {
  ElasticOptions options;
  options.max_restarts = 3;
  options.window_seconds = 100.0;
  Decisions decisions(options);
  for (std::int64_t step = 1; step <= 3; ++step) ASSERT_TRUE(decisions.next(failure_at(step)));
  EXPECT_EQ(decisions.next(failure_at(4)), std::nullopt);
  EXPECT_THAT(decisions.reason, HasSubstr("3 times within 100 s"));
}

TEST(RestartPolicy, FailuresOfLongAgoDoNotCount) {
  ElasticOptions options;
  options.max_restarts = 2;
  options.window_seconds = 100.0;
  Decisions decisions(options);
  for (std::int64_t step = 1; step <= 50; ++step)
    ASSERT_TRUE(decisions.next(failure_at(step), seconds(51))) << step;
}

TEST(RestartPolicy, WorkersThatCannotBeStartedTwiceAreDoneWithout) {
  Decisions decisions;
  EXPECT_EQ(decisions.next(failure_at(12))->workers, 4);
  EXPECT_EQ(decisions.next(failure_at(10, FailureKind::kDeadline, false))->workers, 4);
  EXPECT_EQ(decisions.next(failure_at(10, FailureKind::kDeadline, false))->workers, 2);
  EXPECT_EQ(decisions.next(failure_at(13))->workers, 2) << "what trains is not changed";
}

TEST(RestartPolicy, AStartThatTrainsIsNoFailedStart) {
  Decisions decisions;
  (void)decisions.next(failure_at(12));
  (void)decisions.next(failure_at(10, FailureKind::kJobEnded, false));
  (void)decisions.next(failure_at(13));
  EXPECT_EQ(decisions.next(failure_at(14, FailureKind::kJobEnded, false))->workers, 4);
}

TEST(RestartPolicy, NotFewerWorkersThanAllowed) {
  ElasticOptions options;
  options.min_workers = 3;
  Decisions decisions(options);
  ASSERT_TRUE(decisions.next(failure_at(12)));
  ASSERT_TRUE(decisions.next(failure_at(10, FailureKind::kDeadline, false)));
  EXPECT_EQ(decisions.next(failure_at(10, FailureKind::kDeadline, false)), std::nullopt);
}

}  // namespace
}  // namespace troupe::coordinator
