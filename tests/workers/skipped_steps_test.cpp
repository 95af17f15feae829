// A run whose weights explode: every skipped step says why, none is saved, and it ends by saying so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "optimizer/schedule.h"
#include "tests/end_to_end/inproc_training.h"
#include "workers/training_loop.h"

namespace troupe::workers {
namespace {

using ::testing::HasSubstr;

/// A coordinator that asks for a checkpoint after every step.
class Coordinator final : public RunControl {
 public:
  explicit Coordinator(std::int64_t count) {
    plan_.version = 1;
    plan_.last_step = count;
    for (std::int64_t step = 1; step <= count; ++step) plan_.save.push_back(step);
  }
  std::int64_t newest_plan_version() override { return plan_.version; }
  comm::StepPlan plan(std::int64_t /*version*/) override { return plan_; }
  bool stop_requested() override { return false; }
  void set_activity(std::int64_t /*step*/, const std::string& /*activity*/) override {}
  void report(comm::WorkerMessage message) override {
    const std::scoped_lock lock(mutex_);
    if (const auto* step = std::get_if<comm::StepFinished>(&message)) steps.push_back(*step);
    if (const auto* shard = std::get_if<comm::ShardWritten>(&message)) saved.push_back(shard->step);
  }

  std::vector<comm::StepFinished> steps;
  std::vector<std::int64_t> saved;

 private:
  comm::StepPlan plan_;
  std::mutex mutex_;
};

class ExplodingRun : public ::testing::Test {
 protected:
  ExplodingRun()
      : folder_(std::filesystem::path(::testing::TempDir()) / ("exploding_" + std::to_string(::getpid()))),
        options_(test::tiny_options(test::tiny_dataset())),
        data_(TROUPE_SOURCE_DIR "/tests/data/tiny", options_) {
    options_.steps = 30;
    options_.schedule.warmup = 0;
    options_.optimizer.lr = 100.0;
    options_.optimizer.weight_decay = 1000.0;
    std::filesystem::remove_all(folder_);
  }
  ~ExplodingRun() override { std::filesystem::remove_all(folder_); }

  comm::TrainingEnded train(Coordinator& coordinator, std::int64_t max_skipped_steps) {
    auto world = std::move(comm::make_inproc_group(1).front());
    const layout::Layout layout(options_.batch, 1, 1, static_cast<int>(options_.model.moe.experts));
    StorageThread storage;
    EventOptions events;
    events.max_skipped_steps = max_skipped_steps;
    TrainingLoop loop(options_, events, {.checkpoints = folder_, .load = {}, .epoch = 1, .weights = {}},
                      data_, layout, *world, storage, coordinator, clock_);
    return loop.run();
  }

  std::filesystem::path folder_;
  TrainingOptions options_;
  TrainingData data_;
  SystemClock clock_;
};

TEST_F(ExplodingRun, EndsAfterSoManySkippedStepsAndSavesNoneOfThem) {
  Coordinator coordinator(options_.steps);
  const comm::TrainingEnded end = train(coordinator, 3);
  EXPECT_FALSE(end.finished);
  EXPECT_THAT(end.diverged, HasSubstr("3 steps in a row were skipped"));
  EXPECT_THAT(end.diverged, HasSubstr("optimizer.lr"));
  ASSERT_GT(coordinator.steps.size(), 4U);
  ASSERT_LT(coordinator.steps.size(), 30U);
  const auto first_skipped = std::ssize(coordinator.steps) - 2;  // step numbers begin with 1
  for (const comm::StepFinished& step : coordinator.steps) {
    EXPECT_EQ(step.skip_reason.empty(), step.step < first_skipped) << step.step;
    EXPECT_EQ(step.metrics.at("skipped_steps_total"),
              static_cast<double>(std::max<std::int64_t>(0, step.step - first_skipped + 1)));
    EXPECT_DOUBLE_EQ(step.metrics.at("learning_rate"),
                     100.0 * optimizer::learning_rate_factor(options_.schedule, step.step, options_.steps));
  }
  ASSERT_FALSE(coordinator.saved.empty());
  EXPECT_EQ(coordinator.saved.back(), first_skipped - 1);
  EXPECT_EQ(end.updates, first_skipped - 1);
  EXPECT_EQ(end.data_cursor, end.step * options_.batch.sequences());
}

TEST_F(ExplodingRun, SaysWhatWasNotFinite) {
  Coordinator coordinator(options_.steps);
  (void)train(coordinator, 1);
  EXPECT_THAT(coordinator.steps.back().skip_reason,
              ::testing::ContainsRegex("not finite: (the loss of the text|the gradients of)"));
}

/// A step after 128 losses that hardly differed, far below those of a model that knows nothing.
StepResult step_after_low_losses(TrainingOptions options, double sigmas, int workers) {
  options.loss_spike_sigmas = sigmas;
  const data::TokenDataset dataset = test::tiny_dataset();
  StepResult second;
  std::mutex mutex;
  test::train_inproc(options, dataset, {.workers = workers, .expert_parallel = workers}, 2,
                     [&](Trainer& trainer, const StepResult& result) {
                       TrainingState& state = trainer.state();
                       const std::scoped_lock lock(mutex);
                       if (result.step == 2) {
                         second = result;
                         EXPECT_EQ(state.counters.updates, result.skipped ? 1 : 2);
                         EXPECT_EQ(state.counters.skipped_in_a_row, result.skipped ? 1 : 0);
                       }
                       for (std::size_t i = 0; i < LossWindow::kSteps; ++i)
                         state.recent_losses.add(i % 2 == 0 ? 1.0 : 1.1);
                     });
  return second;
}

TEST(LossSpike, TheStepIsSkippedAlikeOnEveryLayout) {
  const TrainingOptions options = test::tiny_options(test::tiny_dataset());
  const StepResult one = step_after_low_losses(options, 6.0, 1);
  const StepResult three = step_after_low_losses(options, 6.0, 3);
  EXPECT_TRUE(one.skipped);
  EXPECT_THAT(one.skip_reason, HasSubstr("standard deviations above the mean, 1.05, of the last 128 steps"));
  EXPECT_EQ(one.skip_reason, three.skip_reason);
  EXPECT_FALSE(step_after_low_losses(options, 0.0, 1).skipped);
}

/// Bits of all that a step may change of a worker.
std::vector<std::vector<std::uint32_t>> bits_of(Trainer& trainer) {
  TrainingState& state = trainer.state();
  std::vector<std::vector<std::uint32_t>> all;
  const auto add = [&](std::span<const float> values) {
    all.emplace_back(values.size());
    std::ranges::transform(values, all.back().begin(),
                           [](float value) { return std::bit_cast<std::uint32_t>(value); });
  };
  for (optimizer::ShardedAdamW* adamw : {&state.dense_adamw, &state.expert_adamw}) {
    add(adamw->first_moment());
    add(adamw->second_moment());
  }
  add(trainer.model().dense_values());
  add(trainer.model().expert_values());
  add(trainer.model().bias());
  for (const auto& balancer : state.balancers) add(balancer->state());
  return all;
}

/// First elements of every parameter that all tokens meet, the experts' last.
std::vector<float*> weights_of(model::Model& model) {
  std::vector<float*> found;
  const auto add = [&](const ParameterTable& table, std::span<float> values) {
    for_each_stretch(table, {0, table.buffer_elements()},
                     [&](const ParameterSpec& spec, std::int64_t, std::int64_t at, std::int64_t) {
                       if (!spec.name.starts_with("embedding"))
                         found.push_back(&values[static_cast<std::size_t>(at)]);
                     });
  };
  add(model.dense_table(), model.dense_values());
  add(model.expert_table(), model.expert_values());
  return found;
}

TEST(NotFiniteOnOneWorker, EveryStepIsSkippedOnAllAndNothingIsTouched) {
  constexpr int kWorkers = 4;
  constexpr int kSteps = 41;
  std::mutex mutex;
  std::map<int, std::vector<std::vector<std::uint32_t>>> before;  // by rank
  std::map<int, std::pair<float*, float>> spoilt;
  int skipped = 0;
  test::train_inproc(
      test::tiny_options(test::tiny_dataset()), test::tiny_dataset(),
      {.workers = kWorkers, .expert_parallel = 2}, kSteps, [&](Trainer& trainer, const StepResult& result) {
        const std::scoped_lock lock(mutex);
        const int rank = trainer.model().rank();
        if (result.step > 1) {
          EXPECT_TRUE(result.skipped) << "step " << result.step << ", worker " << rank;
          EXPECT_EQ(trainer.state().counters.updates, 1);
          EXPECT_EQ(bits_of(trainer), before[rank]) << "step " << result.step << ", worker " << rank;
          skipped += result.skipped ? 1 : 0;
        }
        if (const auto found = spoilt.find(rank); found != spoilt.end())
          *found->second.first = found->second.second;
        spoilt.erase(rank);
        if (result.step < kSteps && result.step % kWorkers == rank) {
          const std::vector<float*> weights = weights_of(trainer.model());
          float* weight = weights[static_cast<std::size_t>(7 * result.step) % weights.size()];
          spoilt[rank] = {weight, *weight};
          *weight = std::numeric_limits<float>::quiet_NaN();
        }
        before[rank] = bits_of(trainer);
      });
  EXPECT_EQ(skipped, kWorkers * (kSteps - 1));
}

}  // namespace
}  // namespace troupe::workers
