#include "coordinator/run/step_scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troupe::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ScheduleOptions options(std::int64_t steps) {
  ScheduleOptions result;
  result.run.steps = steps;
  result.evaluation.every = 4;
  result.sampling.every = 5;
  result.checkpoint.every = 6;
  return result;
}

TEST(StepScheduler, EvaluatesFullyBeforeTheFirstStepAndAtTheEndOnly) {
  const comm::StepPlan plan = StepScheduler(options(12)).plan(1, 0);
  EXPECT_THAT(plan.evaluate_fully, ElementsAre(0, 12));
  EXPECT_THAT(plan.evaluate, ElementsAre(4, 8));
}

TEST(StepScheduler, SamplesAndSavesAtMultiplesAndAtTheEndButNotAtStepZero) {
  const comm::StepPlan plan = StepScheduler(options(13)).plan(1, 0);
  EXPECT_THAT(plan.sample, ElementsAre(5, 10, 13));
  EXPECT_THAT(plan.save, ElementsAre(6, 12, 13));
}

TEST(StepScheduler, ZeroTurnsOffWhatIsOptionalAndKeepsTheEnds) {
  ScheduleOptions off = options(10);
  off.evaluation.every = off.sampling.every = off.checkpoint.every = 0;
  const comm::StepPlan plan = StepScheduler(off).plan(1, 0);
  EXPECT_THAT(plan.evaluate_fully, ElementsAre(0, 10));
  EXPECT_THAT(plan.evaluate, IsEmpty());
  EXPECT_THAT(plan.sample, IsEmpty());
  EXPECT_THAT(plan.save, ElementsAre(10));
}

TEST(StepScheduler, AResumedRunDoesNotRepeatTheEventsOfItsCheckpoint) {
  const StepScheduler scheduler(options(12));
  const comm::StepPlan plan = scheduler.plan(1, scheduler.first_boundary(4, true));
  EXPECT_EQ(plan.first_step, 5);
  EXPECT_THAT(plan.evaluate, ElementsAre(8));
  EXPECT_THAT(plan.evaluate_fully, ElementsAre(12));
}

TEST(StepScheduler, ACheckpointOfStepZeroStillLeavesTheFirstEvaluationToDo) {
  EXPECT_EQ(StepScheduler(options(12)).first_boundary(0, true), 0);
}

TEST(StepScheduler, AnEvaluationThatWasBrokenOffIsHeldAfterTheResume) {
  const StepScheduler scheduler(options(12));
  EXPECT_EQ(scheduler.first_boundary(4, false), 4);
  EXPECT_EQ(scheduler.first_boundary(12, false), 12) << "the last";
  EXPECT_EQ(scheduler.first_boundary(5, false), 6) << "there is none";
  EXPECT_THAT(scheduler.plan(1, 12).evaluate_fully, ElementsAre(12));
}

TEST(StepScheduler, StoppingEarlyChangesNoOtherEvent) {
  ScheduleOptions stopping = options(12);
  stopping.run.stop_after = 7;
  comm::StepPlan plan = StepScheduler(stopping).plan(1, 0);
  EXPECT_EQ(plan.stop_after, 7);
  plan.stop_after = -1;
  EXPECT_EQ(plan, StepScheduler(options(12)).plan(1, 0));
}

TEST(StepScheduler, StoppingAfterTheLastStepIsNoEarlyStop) {
  ScheduleOptions stopping = options(12);
  stopping.run.stop_after = 12;
  EXPECT_EQ(StepScheduler(stopping).plan(1, 0).stop_after, -1);
}

TEST(StepScheduler, SuccessivePlansOfALongRunHoldEveryEventOnceOrMore) {
  ScheduleOptions few = options(600);
  few.plan_steps = 200;
  const std::int64_t steps = few.run.steps;
  const StepScheduler scheduler(few);
  comm::StepPlan plan = scheduler.plan(1, 0);
  std::vector<bool> saved(static_cast<std::size_t>(steps) + 1);
  for (std::int64_t step = 0; step < steps; ++step) {
    if (scheduler.renewal_due(plan, step)) plan = scheduler.plan(plan.version + 1, step + 1);
    ASSERT_LT(step, plan.last_step) << "a worker would wait for the coordinator";
    ASSERT_LE(plan.last_step - plan.first_step, few.plan_steps);
    for (const std::int64_t save : plan.save) saved[static_cast<std::size_t>(save)] = true;
  }
  for (std::int64_t step = 6; step <= steps; step += 6)
    EXPECT_TRUE(saved[static_cast<std::size_t>(step)]) << step;
  EXPECT_FALSE(scheduler.renewal_due(plan, steps));
}

}  // namespace
}  // namespace troupe::coordinator
