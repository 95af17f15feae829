// Routing that is recorded on one layout and followed on another.
#include "workers/routing/routing_tapes.h"

#include <gtest/gtest.h>

#include <fstream>

#include "storage/hdf5/file.h"
#include "tests/end_to_end/inproc_training.h"
#include "tests/scratch_folder.h"
#include "tests/storage/expect_error.h"

namespace troupe::workers {
namespace {

using storage::expect_error;
using test::ScratchFolder;

constexpr int kSteps = 3;

const data::TokenDataset& dataset() {
  static const data::TokenDataset dataset = test::tiny_dataset();
  return dataset;
}

TrainingOptions options_of(experts::Selection selection) {
  TrainingOptions options = test::tiny_options(dataset());
  options.batch = {.accumulation_steps = 2, .grad_lanes = 6, .expert_lanes = 6, .micro_batch = 2};
  options.model.layers = 3;  // layers 1 and 2 have experts
  options.model.moe.experts = 12;
  options.model.moe.top_k = 2;
  options.model.moe.router.selection = selection;
  if (selection != experts::Selection::kTopK) options.model.moe.balancer.kind = experts::BalancerKind::kNone;
  return options;
}

test::TrainingRecord record(const TrainingOptions& options, const std::filesystem::path& folder) {
  return test::train_inproc(options, dataset(), {2, 2, 1}, kSteps, {}, {.record = folder, .replay = {}});
}

test::TrainingRecord replay(const TrainingOptions& options, const std::filesystem::path& folder) {
  return test::train_inproc(options, dataset(), {3, 3, 1}, kSteps, {}, {.record = {}, .replay = folder});
}

TrainingOptions with_another_router(TrainingOptions options) {
  options.model.moe.router.init_scale = 3.0;
  return options;
}

std::vector<std::vector<std::int64_t>> counts(const test::TrainingRecord& record) {
  std::vector<std::vector<std::int64_t>> result;
  for (const auto& step : record.steps) result.push_back(step.load);
  return result;
}

/// Every token's first two experts.
void fill(std::span<std::int32_t> slots) {
  for (std::size_t i = 0; i < slots.size(); ++i) slots[i] = static_cast<std::int32_t>(i % 2);
}

class EverySelection : public ::testing::TestWithParam<experts::Selection> {};

TEST_P(EverySelection, ReplayedOnAnotherLayoutGivesTheSameBits) {
  const test::ScratchFolder folder;
  const TrainingOptions options = options_of(GetParam());
  const auto recorded = record(options, folder.path());
  EXPECT_EQ(recorded, test::train_inproc(options, dataset(), {2, 2, 1}, kSteps));
  EXPECT_EQ(replay(options, folder.path()), recorded);
}

TEST_P(EverySelection, AnotherRouterFollowsTheRecordingWithItsOwnWeights) {
  const test::ScratchFolder folder;
  const TrainingOptions other = with_another_router(options_of(GetParam()));
  const auto recorded = record(options_of(GetParam()), folder.path());
  const auto replayed = replay(other, folder.path());
  EXPECT_EQ(counts(replayed), counts(recorded));
  EXPECT_NE(replayed.weights, recorded.weights);
  EXPECT_NE(test::train_inproc(other, dataset(), {3, 3, 1}, kSteps).steps, replayed.steps);
}

INSTANTIATE_TEST_SUITE_P(RoutingTapes, EverySelection,
                         ::testing::Values(experts::Selection::kTopK, experts::Selection::kGshardSecond,
                                           experts::Selection::kExpertChoice));

/// A recording of one step by hand, for errors.
class RecordingTest : public ::testing::Test {
 protected:
  RecordingTest() { write(2); }

  void write(int workers) {
    for (int worker = 0; worker < workers; ++worker) {
      RoutingTapes tapes(options_, corpus_, layout(workers), worker,
                         {.record = folder_.path(), .replay = {}});
      tapes.prepare(1);
      for (const auto& tape : tapes.tapes()) fill(tape.record);
      tapes.keep(1);
    }
  }

  void expect_refused(ErrorCode code, std::initializer_list<std::string> parts, std::int64_t step = 1) {
    RoutingTapes tapes(options_, corpus_, layout(3), 2, {.record = {}, .replay = folder_.path()});
    expect_error([&] { tapes.prepare(step); }, code, parts);
  }

  [[nodiscard]] layout::Layout layout(int workers) const { return {options_.batch, workers, workers, 12}; }

  /// Worker 1's file, with one slot of layer 2 overwritten, in its first microbatch, lane 1.
  void overwrite_slot(std::int32_t id) {
    RoutingTapes tapes(options_, corpus_, layout(2), 1, {.record = folder_.path(), .replay = {}});
    for (const auto& tape : tapes.tapes()) fill(tape.record);
    tapes.tapes()[0].layer(1, 2).record[5] = id;
    tapes.keep(1);
  }

  test::ScratchFolder folder_;
  std::string corpus_ = "0123";
  TrainingOptions options_ = options_of(experts::Selection::kTopK);
};

TEST_F(RecordingTest, AMissingStepIsNamed) {
  expect_refused(ErrorCode::kConfig, {"step-00000007", "is missing", "step 7"}, 7);
}

TEST_F(RecordingTest, MissingSequencesAreNamed) {
  std::filesystem::remove(folder_ / "step-00000001/worker-00001.h5");
  expect_refused(ErrorCode::kCorrupt, {"step-00000001", "12 of the batch's 24", "missing is 2"});
}

TEST_F(RecordingTest, SequencesThatAreThereTwiceAreNamed) {
  std::filesystem::copy(folder_ / "step-00000001/worker-00001.h5", folder_ / "step-00000001/worker-00002.h5");
  expect_refused(ErrorCode::kCorrupt, {"worker-00002.h5", "sequence 2", "second time", "step 1"});
}

TEST_F(RecordingTest, AnUnfinishedFileIsNotRead) {
  std::filesystem::copy(folder_ / "step-00000001/worker-00001.h5",
                        folder_ / "step-00000001/worker-00002.h5.unfinished");
  RoutingTapes tapes(options_, corpus_, layout(3), 2, {.record = {}, .replay = folder_.path()});
  EXPECT_NO_THROW(tapes.prepare(1));
}

TEST_F(RecordingTest, OtherSlotsAreRefusedWithTheLayer) {
  options_.model.moe.top_k = 3;
  expect_refused(ErrorCode::kConfig,
                 {"worker-00000.h5", "layer 1 of step 1", "[384, 2]", "[384, 3]", "top_k"});
}

TEST_F(RecordingTest, AnotherBatchIsRefused) {
  options_.batch.accumulation_steps = 1;
  expect_refused(ErrorCode::kConfig, {"worker-00000.h5", "batch.sequences = 24", "12"});
}

TEST_F(RecordingTest, LayersThatWereNotRecordedAreRefused) {
  options_.model.layers = 4;
  expect_refused(ErrorCode::kConfig, {"worker-00000.h5", "nothing of layer 3"});
}

TEST_F(RecordingTest, ExpertsThatDoNotExistAreNamedWithTheLayer) {
  for (const std::int32_t id : {12, -2}) {
    overwrite_slot(id);
    RoutingTapes tapes(options_, corpus_, layout(3), 1, {.record = {}, .replay = folder_.path()});
    expect_error([&] { tapes.prepare(1); }, ErrorCode::kCorrupt,
                 {"worker-00001.h5", "expert " + std::to_string(id) + " of 12", "layer 2", "step 1"});
  }
}

TEST_F(RecordingTest, ACandidateThatWasLeftOutGoesWithGshardSecond) {
  overwrite_slot(-13);
  options_.model.moe.router.selection = experts::Selection::kGshardSecond;
  RoutingTapes tapes(options_, corpus_, layout(3), 1, {.record = {}, .replay = folder_.path()});
  EXPECT_NO_THROW(tapes.prepare(1));
  EXPECT_EQ(tapes.tapes()[0].layer(1, 2).replay[5], -13);
}

TEST_F(RecordingTest, AnExpertWithMoreTokensThanItCanTakeIsRefused) {
  options_.model.moe.router.selection = experts::Selection::kExpertChoice;
  options_.model.moe.top_k = 1;
  const RoutingShape shape(options_, corpus_);
  for (int worker = 0; worker < 2; ++worker) {
    RoutingTapes tapes(options_, corpus_, layout(2), worker, {.record = folder_.path(), .replay = {}});
    for (const auto& tape : tapes.tapes()) {
      std::ranges::fill(tape.record, -1);
      for (std::size_t i = 0; i < tape.record.size(); i += static_cast<std::size_t>(shape.slots))
        tape.record[i] = 3;
    }
    tapes.keep(1);
  }
  expect_refused(ErrorCode::kCorrupt, {"expert 3 more than 7 times", "layer 1"});
}

TEST_F(RecordingTest, AnotherSeedIsRefused) {
  options_.seed += 1;
  expect_refused(ErrorCode::kConfig, {"worker-00000.h5", "run.seed = 1", "here it is 2"});
}

TEST_F(RecordingTest, AnotherCorpusIsRefused) {
  corpus_ = "4567";
  expect_refused(ErrorCode::kConfig, {"worker-00000.h5", "training text", "0123", "4567"});
}

TEST_F(RecordingTest, AnotherOrderOfTheTextIsRefused) {
  options_.data.domains = {{"stories", 0.5}};
  expect_refused(ErrorCode::kConfig, {"worker-00000.h5", "data.*", "stories=0.5"});
}

TEST_F(RecordingTest, AnExpertTwiceForOneTokenIsRefused) {
  overwrite_slot(0);  // beside slot 4, which is 0
  RoutingTapes tapes(options_, corpus_, layout(3), 1, {.record = {}, .replay = folder_.path()});
  expect_error([&] { tapes.prepare(1); }, ErrorCode::kCorrupt,
               {"worker-00001.h5", "expert 0 twice", "layer 2", "step 1"});
}

TEST_F(RecordingTest, SingleBitsAreNoticedWhereverTheyFlip) {
  const std::filesystem::path file = folder_ / "step-00000001/worker-00001.h5";
  const std::string good = read_file(file, 1 << 20);
  const auto replayed = [&] {
    std::vector<std::int32_t> slots;
    for (int worker = 0; worker < 3; ++worker) {
      RoutingTapes tapes(options_, corpus_, layout(3), worker, {.record = {}, .replay = folder_.path()});
      tapes.prepare(1);
      for (const auto& tape : tapes.tapes())
        slots.insert(slots.end(), tape.replay.begin(), tape.replay.end());
    }
    return slots;
  };
  const auto expected = replayed();
  int refused = 0;
  const auto flip = [&](std::size_t place, std::size_t bit) {
    std::string bad = good;
    bad[place] = static_cast<char>(bad[place] ^ 1 << bit);
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bad;
    try {
      EXPECT_EQ(replayed(), expected) << "byte " << place;
    } catch (const Error&) {
      ++refused;
    }
  };
  for (std::size_t place = 0; place < good.size(); place += place < 2048 ? 11 : 257) flip(place, place % 8);
  // The low bits of words: a choice becomes that of another expert, which nothing but its hash tells.
  for (std::size_t place = 2048; place < good.size(); place += 4 * 13) flip(place, place / 4 % 3);
  EXPECT_GT(refused, 0);
}

TEST_F(RecordingTest, ANewRecordingReplacesThatOfMoreWorkers) {
  write(3);
  write(1);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "step-00000001/worker-00002.h5"));
  RoutingTapes tapes(options_, corpus_, layout(3), 2, {.record = {}, .replay = folder_.path()});
  EXPECT_NO_THROW(tapes.prepare(1));
}

TEST_F(RecordingTest, ARunDoesNotFollowItsOwnRecording) {
  expect_error(
      [&] {
        RoutingTapes(options_, corpus_, layout(1), 0,
                     {.record = folder_.path(), .replay = folder_.path() / "."});
      },
      ErrorCode::kConfig, {"run.replay_routing", "records its own routing"});
}

}  // namespace
}  // namespace troupe::workers
