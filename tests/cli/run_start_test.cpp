// Where a run begins: never at step 0 by itself once something was saved.
#include "cli/run/run_start.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"
#include "cli/run/run_corpus.h"
#include "cli/run/run_record.h"
#include "configs/identity.h"
#include "configs/load.h"
#include "tensor/ops/numerics_fingerprint.h"
#include "tests/scratch_folder.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/sample_state.h"
#include "tests/storage/unreadable.h"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;
using storage::expect_error;

class RunStartTest : public ::testing::Test {
 protected:
  RunStartTest()
      : config_(configs::load_config(fs::path(TROUPE_SOURCE_DIR) / "configs/tiny.yaml", {})),
        store_(folder_ / "checkpoints") {
    fs::create_directories(store_.folder());
    corpus_.tokenizer_hash = "tokenizer";
    corpus_.identity = {
        .tokenizer = "tokenizer", .train = "a", .heldout = "b", .train_tokens = 7, .heldout_tokens = 3};
  }

  fs::path save(std::int64_t step, std::int64_t timeline = 0) {
    storage::CheckpointMetadata metadata = storage::sample_metadata(step, 2);
    metadata.timeline = timeline;
    metadata.config = configs::dump(config_);
    metadata.config_hash = configs::config_hash(config_);
    metadata.tokenizer_hash = corpus_.tokenizer_hash;
    metadata.corpus = identity_text(corpus_.identity);
    metadata.numerics_fingerprint = ops::numerics_fingerprint();
    return storage::save(store_, storage::sample_state(), metadata);
  }

  static void flip_byte(const fs::path& checkpoint) {
    std::fstream file(checkpoint / "worker-00001.h5", std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(2000);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(2000);
    file.put(byte);
  }

  StartPoint start(const Resume& resume = ResumeAuto{}) {
    storage::CheckpointStore store(store_.folder());
    configs::RunConfig config = config_;
    return choose_start(store, folder_.path(), resume, allowed_, config, corpus_);
  }

  test::ScratchFolder folder_;
  configs::RunConfig config_;
  configs::AllowedChanges allowed_;
  CorpusFacts corpus_;
  storage::CheckpointStore store_;
};

TEST_F(RunStartTest, NewRunsBeginAtZero) {
  const StartPoint begin = start();
  EXPECT_EQ(begin.checkpoint, "");
  EXPECT_EQ(begin.timeline, 0);
}

TEST_F(RunStartTest, GoesOnFromTheNewestOnItsTimeline) {
  save(10);
  save(20);
  EXPECT_EQ(start().step, 20);
  EXPECT_EQ(start().timeline, 0);
}

TEST_F(RunStartTest, PassesOverDamageAndLeavesThatTimeline) {
  save(10);
  flip_byte(save(20));
  EXPECT_EQ(start().step, 10);
  EXPECT_EQ(start().timeline, 1);  // or what is saved at 15 would lose to the damaged 20
}

TEST_F(RunStartTest, RefusesWhenEveryCheckpointIsDamaged) {
  flip_byte(save(10));
  fs::remove(save(20) / "manifest.json");
  expect_error(
      [&] { (void)start(); }, ErrorCode::kCorrupt,
      {"none of its checkpoints is intact", "step-00000010: damaged: ", "worker-00001.h5 was changed",
       "step-00000020: damaged: ", "manifest.json is missing", "--resume never"});
}

TEST_F(RunStartTest, NeverBeginsAgainWithATimelineOfItsOwn) {
  save(10, 2);
  flip_byte(save(20, 4));
  const StartPoint begin = start(ResumeNever{});
  EXPECT_EQ(begin.checkpoint, "");
  EXPECT_EQ(begin.timeline, 5);
}

TEST_F(RunStartTest, RefusesWhenTheNewestCannotBeReadAlthoughAnOlderOneCan) {
  save(10);
  const fs::path newest = save(20);
  storage::forbid_reading(newest / "worker-00000.h5");
  {
    const storage::OrdinaryUser user;
    expect_error([&] { (void)start(); }, ErrorCode::kIo,
                 {"step-00000020: not readable: ", "Permission denied", "--resume 10 goes on from"});
    EXPECT_EQ(start(ResumeStep{10}).step, 10);
    EXPECT_EQ(start(ResumeStep{10}).timeline, 1);
    expect_error([&] { (void)start(ResumeStep{20}); }, ErrorCode::kIo, {"step-00000020 cannot be used"});
  }
  storage::allow_reading(newest / "worker-00000.h5");
  EXPECT_EQ(start().step, 20);
}

TEST_F(RunStartTest, TheStepThatWasAskedForMustBeIntact) {
  flip_byte(save(10));
  save(20);
  expect_error([&] { (void)start(ResumeStep{10}); }, ErrorCode::kCorrupt,
               {"step-00000010 cannot be used", "worker-00001.h5"});
}

TEST_F(RunStartTest, GoingBackFromAnAbandonedTimelineWinsOverTheNewestOne) {
  save(18, 0);
  save(12, 1);
  EXPECT_EQ(start().step, 12);
  EXPECT_EQ(start().timeline, 1);
  EXPECT_EQ(start(ResumeStep{18}).timeline, 2);
}

TEST_F(RunStartTest, AnotherValueNeedsLeaveUntilTheRecordTellsOfIt) {
  save(10);
  const configs::RunConfig before = config_;
  config_.run.steps += 5;
  expect_error([&] { (void)start(); }, ErrorCode::kConfig,
               {"run.steps: 20 in the checkpoint, 25 now", "--allow-change run.steps"});
  allowed_ = configs::parse_allowed_changes({"run.steps"});
  EXPECT_EQ(start().step, 10);
  allowed_ = {};
  write_file_atomically(folder_ / "config.yaml", record_text(config_));  // as the start before did
  EXPECT_EQ(start().step, 10);
  config_.run.steps = 9;
  allowed_ = configs::parse_allowed_changes({"run.steps"});
  expect_error([&] { (void)start(); }, ErrorCode::kConfig, {"run.steps = 9", "has 10 steps already"});
  config_ = before;
  config_.run.seed = 7;
  write_file_atomically(folder_ / "config.yaml", record_text(config_));
  expect_error([&] { (void)start(); }, ErrorCode::kConfig, {"run.seed", "it cannot change"});
}

TEST_F(RunStartTest, AnotherContentOfTheCorpusIsRefusedAnotherPlaceIsNot) {
  save(10);
  config_.data.corpus = "/elsewhere";
  EXPECT_EQ(start().step, 10);
  corpus_.identity.train = "c";
  corpus_.identity.train_tokens = 9;
  expect_error([&] { (void)start(); }, ErrorCode::kConfig, {"the training text (7 tokens, now 9) changed"});
}

TEST_F(RunStartTest, CheckpointsOfEarlierVersionsTellNoCorpus) {
  storage::CheckpointMetadata metadata = storage::sample_metadata(10, 2);
  metadata.config = configs::dump(config_);
  metadata.tokenizer_hash = corpus_.tokenizer_hash;
  metadata.corpus = "";
  storage::save(store_, storage::sample_state(), metadata);
  EXPECT_EQ(start().step, 10);
}

TEST_F(RunStartTest, WorkersThatWereLostGoOnFromTheNewestThatTheySaved) {
  const StartPoint before = start();
  save(10);
  save(20);
  const StartPoint again = choose_restart(store_, before);
  EXPECT_EQ(again.step, 20);
  EXPECT_EQ(again.timeline, 0);
  EXPECT_TRUE(again.checkpoint.ends_with("step-00000020"));
}

TEST_F(RunStartTest, WorkersThatWereLostBeforeTheySavedBeginWhereTheyDid) {
  EXPECT_EQ(choose_restart(store_, start()).checkpoint, "");
  save(10);
  save(20);
  const StartPoint again = choose_restart(store_, start(ResumeStep{10}));  // not at 20, which was left behind
  EXPECT_EQ(again.step, 10);
  EXPECT_EQ(again.timeline, 1);
  const StartPoint anew = choose_restart(store_, start(ResumeNever{}));
  EXPECT_EQ(anew.checkpoint, "");
  EXPECT_EQ(anew.timeline, 1);
}

TEST_F(RunStartTest, WorkersThatWereLostPassOverDamage) {
  const StartPoint before = start();
  save(10);
  flip_byte(save(20));
  storage::CheckpointStore again(store_.folder());
  EXPECT_EQ(choose_restart(again, before).step, 10);
  EXPECT_EQ(choose_restart(again, before).timeline, 1);
  storage::CheckpointStore fresh(store_.folder());
  flip_byte(folder_ / "checkpoints" / "step-00000010");
  expect_error([&] { (void)choose_restart(fresh, before); }, ErrorCode::kCorrupt,
               {"none of its checkpoints"});
}

TEST_F(RunStartTest, ARunThatDivergedGoesBackToOlderWeightsAndLeavesOutTheBatchesSince) {
  const StartPoint before = start();
  save(10);
  save(20);
  const auto back = choose_roll_back(store_, before, {.updates = 23, .data_cursor = 777});
  ASSERT_TRUE(back);
  EXPECT_EQ(back->step, 20);
  EXPECT_EQ(back->timeline, 1);
  EXPECT_EQ(back->data_cursor, 777);
  EXPECT_EQ(back->roll_backs, 1);
  const StartPoint again = choose_restart(store_, *back);  // lost before anything was saved there
  EXPECT_EQ(again.step, 20);
  EXPECT_EQ(again.data_cursor, 777);
  EXPECT_EQ(again.roll_backs, 1);
}

TEST_F(RunStartTest, TheWeightsThatDivergedAreNotGoneBackToNorDamagedOnes) {
  const StartPoint before = start();
  save(10);
  save(20);
  save(30);
  EXPECT_EQ(choose_roll_back(store_, before, {.updates = 30, .data_cursor = 777})->step, 20);
  flip_byte(folder_ / "checkpoints" / "step-00000020");
  storage::CheckpointStore fresh(store_.folder());
  EXPECT_EQ(choose_roll_back(fresh, before, {.updates = 30, .data_cursor = 777})->step, 10);
  EXPECT_FALSE(choose_roll_back(fresh, before, {.updates = 10, .data_cursor = 777}));
}

TEST_F(RunStartTest, RollBacksAreCountedOverAllOfTheRun) {
  storage::CheckpointMetadata metadata = storage::sample_metadata(10, 2);
  metadata.roll_backs = 2;
  metadata.config = configs::dump(config_);
  metadata.tokenizer_hash = corpus_.tokenizer_hash;
  metadata.corpus = "";
  storage::save(store_, storage::sample_state(), metadata);
  EXPECT_EQ(start().roll_backs, 2);
  EXPECT_EQ(choose_roll_back(store_, start(), {.updates = 11, .data_cursor = 777})->roll_backs, 3);
}

TEST_F(RunStartTest, ABranchBeginsAtItsOriginAndGoesOnFromItsOwn) {
  const std::string origin = save(10).string();
  flip_byte(save(20));
  storage::CheckpointStore own(folder_ / "own");
  config_.init_from = {.checkpoint = origin, .branch = true};
  config_.optimizer.lr *= 2;
  configs::RunConfig config = config_;
  const StartPoint begin = choose_start(own, folder_ / "branch", ResumeAuto{}, {}, config, corpus_);
  EXPECT_EQ(begin.checkpoint, origin);
  EXPECT_EQ(begin.step, 10);
  store_ = own;
  save(12);
  EXPECT_EQ(start().step, 12);
  EXPECT_EQ(start(ResumeNever{}).step, 10);
  config_.init_from.checkpoint = (folder_ / "checkpoints" / "step-00000020").string();
  config = config_;
  storage::CheckpointStore empty(folder_ / "empty");
  expect_error([&] { (void)choose_start(empty, folder_ / "x", ResumeAuto{}, {}, config, corpus_); },
               ErrorCode::kCorrupt, {"step-00000020 cannot be used"});
}

TEST_F(RunStartTest, DamagedRecordOfTheConfigurationDoesNotStopARunWithCheckpoints) {
  save(10);
  write_file_atomically(folder_ / "config.yaml", "run: {steps: [");
  EXPECT_EQ(start().step, 10);
}

TEST_F(RunStartTest, DamagedRecordOfTheConfigurationIsNamedWhenNothingWasSaved) {
  write_file_atomically(folder_ / "config.yaml", "run: {steps: [");
  expect_error([&] { (void)start(); }, ErrorCode::kConfig,
               {"config.yaml is not as it was written: cut short", "remove the file"});
  EXPECT_EQ(start(ResumeNever{}).step, 0);
}

TEST_F(RunStartTest, ARecordCutAtTheEndOfAnyLineIsNoticedAndSoIsAnEditedOne) {
  const std::string whole = record_text(config_);
  const auto problem_of = [&](const std::string& text) {
    write_file_atomically(folder_ / "config.yaml", text);
    return read_run_record(folder_.path()).problem;
  };
  EXPECT_EQ(problem_of(whole), "");
  for (std::size_t end = whole.find('\n'); end + 1 < whole.size(); end = whole.find('\n', end + 1))
    EXPECT_NE(problem_of(whole.substr(0, end + 1)), "") << "cut to " << end + 1 << " bytes";
  std::string edited = whole;
  edited.replace(edited.find("steps: 20"), 9, "steps: 90");
  EXPECT_NE(problem_of(edited), "");
  EXPECT_NE(problem_of(""), "");
}

TEST_F(RunStartTest, WhatTheProcessBeforeWasToldIsNotTakenOver) {
  config_.run.stop_after = 12;
  config_.parallel.workers = 2;
  config_.parallel.expert_parallel = 2;
  config_.optimizer.lr = 0.5;
  write_file_atomically(folder_ / "config.yaml", record_text(config_));
  configs::RunConfig next = load_recorded_config(folder_.path(), {"parallel.workers=1"});
  EXPECT_EQ(next.run.stop_after, std::nullopt);
  EXPECT_EQ(next.parallel.workers, 1);
  EXPECT_EQ(next.parallel.expert_parallel, std::nullopt) << "it follows the workers, as it did";
  EXPECT_EQ(next.optimizer.lr, 0.5);
}

TEST_F(RunStartTest, AWarmUpThatIsOverDoesNotBeginAgainInALongerRun) {
  config_.schedule.warmup = 0.25;  // 5 of 20 steps, 10 of 40, 20 of 80
  save(8);
  config_.run.steps = 40;
  allowed_ = configs::parse_allowed_changes({"run.steps"});
  expect_error([&] { (void)start(); }, ErrorCode::kConfig,
               {"schedule.warmup = 0.25 is 5 of 20 steps", "10 of 40", "at step 8",
                "--set schedule.warmup=5 --allow-change run.steps,schedule.warmup"});
  config_.schedule.warmup = 5;  // as it was
  allowed_ = configs::parse_allowed_changes({"run.steps,schedule.warmup"});
  EXPECT_EQ(start().step, 8);
  config_.schedule.warmup = 0.5;  // asked for by name
  EXPECT_EQ(start().step, 8);
}

TEST_F(RunStartTest, AWarmUpInProgressKeepsItsLength) {
  config_.schedule.warmup = 0.5;
  save(4);
  config_.run.steps = 16;
  allowed_ = configs::parse_allowed_changes({"run.steps"});
  expect_error([&] { (void)start(); }, ErrorCode::kConfig,
               {"schedule.warmup = 0.5 is 10 of 20 steps", "8 of 16"});
}

TEST_F(RunStartTest, ALongerRunBeyondBothWarmUpsGoesOn) {
  config_.schedule.warmup = 0.25;
  save(10);
  config_.run.steps = 40;
  allowed_ = configs::parse_allowed_changes({"run.steps"});
  EXPECT_EQ(start().step, 10);
  config_.run.steps = 44;
  expect_error([&] { (void)start(); }, ErrorCode::kConfig, {"11 of 44"});
}

}  // namespace
}  // namespace troupe::cli
