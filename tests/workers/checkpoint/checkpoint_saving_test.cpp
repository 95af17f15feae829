// Training goes on while a checkpoint is written. The disk is as slow as a test wants: a job that waits for
// the test is queued on the storage thread before the checkpoint's.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "storage/checkpoint_store.h"
#include "tests/end_to_end/inproc_training.h"
#include "workers/checkpoint/checkpoint.h"
#include "workers/training_loop.h"

namespace troupe::workers {
namespace {

constexpr int kSteps = 6;
constexpr auto kLongest = std::chrono::seconds(30);  // a wrong program fails then instead of hanging

/// A coordinator that saves after the given steps and remembers what it is told, in order.
class Coordinator final : public RunControl {
 public:
  /// events: steps after which the model is evaluated and writes.
  explicit Coordinator(std::vector<std::int64_t> saves, std::vector<std::int64_t> events = {}) {
    plan_.evaluate = plan_.sample = std::move(events);
    plan_.version = 1;
    plan_.last_step = kSteps;
    plan_.save = std::move(saves);
  }

  std::int64_t newest_plan_version() override { return plan_.version; }
  comm::StepPlan plan(std::int64_t /*version*/) override { return plan_; }
  bool stop_requested() override { return stop; }
  void report(comm::WorkerMessage message) override {
    const std::lock_guard lock(mutex_);
    if (const auto* step = std::get_if<comm::StepFinished>(&message)) {
      if (after_step) after_step(step->step);
      order_.push_back("step " + std::to_string(step->step));
    } else if (const auto* evaluation = std::get_if<comm::EvaluationFinished>(&message)) {
      order_.push_back("evaluated " + std::to_string(evaluation->step));
    } else if (std::holds_alternative<comm::SampleFinished>(message)) {
      order_.push_back("sampled");
    } else if (const auto* shard = std::get_if<comm::ShardWritten>(&message)) {
      if (lost) throw Error(ErrorCode::kPeerLost, "gone");
      order_.push_back("saved " + std::to_string(shard->step));
      shards_.push_back(*shard);
    }
  }
  void set_activity(std::int64_t step, const std::string& activity) override {
    if (activity == "saving" && before_save) before_save(step);
    if (activity == stop_at) stop = true;
  }

  [[nodiscard]] const std::vector<std::string>& order() const { return order_; }
  [[nodiscard]] bool told_before(const std::string& first, const std::string& second) const {
    const auto at = std::ranges::find(order_, first);
    return at != order_.end() && at < std::ranges::find(order_, second);
  }
  [[nodiscard]] std::vector<comm::ShardWritten> shards() {
    const std::lock_guard lock(mutex_);
    return shards_;
  }

  std::function<void(std::int64_t step)> after_step;
  std::function<void(std::int64_t step)> before_save;
  std::string stop_at;  // an activity
  std::atomic<bool> stop = false;
  bool lost = false;

 private:
  comm::StepPlan plan_;
  std::mutex mutex_;
  std::vector<std::string> order_;
  std::vector<comm::ShardWritten> shards_;
};

class CheckpointSaving : public ::testing::Test {
 protected:
  CheckpointSaving()
      : folder_(std::filesystem::path(::testing::TempDir()) / ("saving_" + std::to_string(::getpid()))),
        options_(test::tiny_options(test::tiny_dataset())),
        data_(TROUPE_SOURCE_DIR "/tests/data/tiny", options_) {
    options_.steps = kSteps;
    std::filesystem::remove_all(folder_);
  }
  ~CheckpointSaving() override { std::filesystem::remove_all(folder_); }

  /// What is queued on the storage thread from now on waits for open_disk().
  void close_disk() {
    (void)storage_thread_.start([opened = opened_.get_future().share()] { (void)opened.wait_for(kLongest); });
  }
  void open_disk() { opened_.set_value(); }

  comm::TrainingEnded train(Coordinator& coordinator) {
    const EventOptions events{.prompts = {"One "}};
    auto world = std::move(comm::make_inproc_group(1).front());
    TrainingLoop loop(options_, events, {.checkpoints = folder_, .load = {}, .epoch = 1, .weights = {}},
                      data_, layout(), *world, storage_thread_, coordinator, clock_);
    const comm::TrainingEnded ended = loop.run();
    told_at_end_ = coordinator.shards();
    return ended;
  }

  /// The report of a worker that stands still while it saves after this step.
  std::string expected_description(int step) {
    auto world = std::move(comm::make_inproc_group(1).front());
    model::Model model(model_setup(options_, layout(), std::ssize(data_.train.header().domain_names)),
                       layout(), *world, clock_);
    model.initialize();
    Trainer trainer(options_, model, data_.loader(options_, {}));
    for (int i = 0; i < step; ++i) trainer.step({});
    std::string description;
    storage_thread_.run(
        [&] { description = to_json(save_shards(folder_ / "expected", model, trainer.state())); });
    return description;
  }

  [[nodiscard]] layout::Layout layout() const {
    return {options_.batch, 1, 1, static_cast<int>(options_.model.moe.experts)};
  }

  std::filesystem::path folder_;
  TrainingOptions options_;
  TrainingData data_;
  SystemClock clock_;
  std::promise<void> opened_;
  std::vector<comm::ShardWritten> told_at_end_;
  StorageThread storage_thread_;
};

TEST_F(CheckpointSaving, TrainingGoesOnAndTheFileHoldsTheStepThatWasSaved) {
  Coordinator coordinator({2, kSteps});
  coordinator.after_step = [&](std::int64_t step) {
    if (step == 4) open_disk();
  };
  close_disk();
  EXPECT_TRUE(train(coordinator).finished);
  EXPECT_TRUE(coordinator.told_before("step 4", "saved 2"));
  ASSERT_EQ(told_at_end_.size(), 2U);
  EXPECT_EQ(told_at_end_[0].description, expected_description(2));
  EXPECT_EQ(told_at_end_[0].updates, 2);
  EXPECT_EQ(told_at_end_[1].description, expected_description(kSteps));
}

TEST_F(CheckpointSaving, TheNextSaveWaitsForTheOneOnItsWay) {
  Coordinator coordinator({2, 4});
  coordinator.before_save = [&](std::int64_t step) {
    if (step == 4) open_disk();
  };
  close_disk();
  EXPECT_TRUE(train(coordinator).finished);
  EXPECT_TRUE(coordinator.told_before("saved 2", "step 5"));
  ASSERT_EQ(told_at_end_.size(), 3U);
  EXPECT_EQ(told_at_end_[0].description, expected_description(2));
  EXPECT_EQ(told_at_end_[1].description, expected_description(4));
}

TEST_F(CheckpointSaving, AStopEndsWhenItsCheckpointIsWritten) {
  Coordinator coordinator({2});
  coordinator.after_step = [&](std::int64_t step) { coordinator.stop = step == 2; };
  coordinator.before_save = [&](std::int64_t step) {
    if (step == 3) open_disk();
  };
  close_disk();
  EXPECT_FALSE(train(coordinator).finished);
  ASSERT_EQ(told_at_end_.size(), 2U);
  EXPECT_EQ(told_at_end_[0].description, expected_description(2));
  EXPECT_EQ(told_at_end_[1].description, expected_description(3));
}

TEST_F(CheckpointSaving, AStopDuringAStepEndsWithThatStep) {
  Coordinator coordinator({});
  coordinator.stop_at = "training";
  const comm::TrainingEnded ended = train(coordinator);
  EXPECT_FALSE(ended.finished);
  EXPECT_EQ(ended.step, 1);
}

TEST_F(CheckpointSaving, AStopDoesNotWaitForAnEvaluationOrATextButForTheSave) {
  for (const std::string activity : {"evaluating", "sampling"}) {
    Coordinator coordinator({}, {2, kSteps});
    coordinator.stop_at = activity;
    const comm::TrainingEnded ended = train(coordinator);
    EXPECT_FALSE(ended.finished);
    EXPECT_EQ(ended.step, 2);
    std::vector<std::string> expected{"step 1", "step 2", "saved 2"};
    if (activity == "sampling") expected.insert(expected.begin() + 2, "evaluated 2");
    EXPECT_EQ(coordinator.order(), expected);
  }
}

TEST_F(CheckpointSaving, ARunThatStopsInItsLastEvaluationIsNotFinished) {
  Coordinator coordinator({}, {kSteps});
  coordinator.stop_at = "evaluating";
  const comm::TrainingEnded ended = train(coordinator);
  EXPECT_EQ(ended.step, kSteps);
  EXPECT_FALSE(ended.finished);
}

TEST_F(CheckpointSaving, ASaveThatFailsIsReportedAndTrainingEndsWell) {
  std::ofstream(folder_) << "a file where the folder should be";
  Coordinator coordinator({2});
  EXPECT_TRUE(train(coordinator).finished);
  ASSERT_EQ(told_at_end_.size(), 2U);
  for (const comm::ShardWritten& shard : told_at_end_) {
    EXPECT_NE(shard.error.find(folder_.string()), std::string::npos) << shard.error;
    EXPECT_TRUE(shard.description.empty());
  }
}

TEST_F(CheckpointSaving, ACoordinatorThatIsLostBehindASaveEndsTraining) {
  Coordinator coordinator({2});
  coordinator.lost = true;
  try {
    (void)train(coordinator);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kPeerLost);
  }
}

}  // namespace
}  // namespace troupe::workers
