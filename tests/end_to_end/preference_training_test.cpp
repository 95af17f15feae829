// Objectives that compare two answers: layouts, the first step, what is learned, the reference of dpo.
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <numbers>
#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "base/index.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "data/token_file_writer.h"
#include "storage/memory_snapshots.h"
#include "tests/data/expect_error.h"
#include "tests/end_to_end/inproc_training.h"
#include "tests/end_to_end/pair_corpus.h"
#include "tests/scratch_folder.h"
#include "workers/preferences/pair_evaluator.h"
#include "workers/preferences/pair_reference.h"
#include "workers/training_loop.h"

namespace troupe::test {
namespace {

using model::ObjectiveKind;

workers::TrainingOptions options_of(ObjectiveKind kind, const data::TokenDataset& dataset) {
  workers::TrainingOptions options = tiny_options(dataset);
  options.model.objective = {.kind = kind, .beta = 0.1};
  options.model.loss.z_loss = 0.0;
  options.data.sequence_length = 80;  // two pairs, and some room
  options.batch = {.accumulation_steps = 2, .grad_lanes = 4, .expert_lanes = 4, .micro_batch = 2};
  options.schedule.warmup = 0;
  return options;
}

class Preferences : public ::testing::TestWithParam<ObjectiveKind> {
 protected:
  PairCorpus corpus_;
  workers::TrainingOptions options_ = options_of(GetParam(), corpus_.dataset());
};

INSTANTIATE_TEST_SUITE_P(Objectives, Preferences,
                         ::testing::Values(ObjectiveKind::kDpo, ObjectiveKind::kReward),
                         [](const auto& kind) {
                           return std::string(model::kObjectiveNames[static_cast<std::size_t>(kind.param)]);
                         });

TEST_P(Preferences, HaveTheSameBitsOnEveryLayout) {
  const TrainingRecord expected = train_inproc(options_, corpus_.dataset(), {1, 1, 1}, 3);
  for (const WorkerLayout& layout :
       {WorkerLayout{2, 2, 1}, WorkerLayout{2, 1, 2}, WorkerLayout{3, 3, 1}, WorkerLayout{4, 2, 1, true}})
    EXPECT_TRUE(train_inproc(options_, corpus_.dataset(), layout, 3) == expected)
        << layout.workers << " workers, expert_parallel " << layout.expert_parallel;
}

TEST_P(Preferences, BeginWithTheLossLn2AndLearnWhatIsChosen) {
  options_.model.moe.aux_loss.clear();
  options_.model.moe.router.z_loss = 0.0;
  options_.optimizer.lr = 3e-3;
  std::vector<workers::StepResult> steps;
  train_inproc(options_, corpus_.dataset(), {1, 1, 1}, 20,
               [&](const auto&, const workers::StepResult& step) { steps.push_back(step); });
  EXPECT_EQ(steps[0].loss, std::numbers::ln2);  // of 32 pairs
  EXPECT_EQ(steps[0].margin, 0.0);
  EXPECT_EQ(steps[0].accuracy, 0.0);  // nothing is preferred yet
  EXPECT_GT(steps[0].grad_norm, 0.0);
  EXPECT_LT(steps.back().loss, 0.3);
  EXPECT_GT(steps.back().margin, 1.0);
  EXPECT_GT(steps.back().accuracy, 0.9);
}

TEST_P(Preferences, CountEveryTokenOfASequenceInTheLoad) {
  train_inproc(options_, corpus_.dataset(), {1, 1, 1}, 1, [&](const auto&, const workers::StepResult& step) {
    std::int64_t routed = 0;
    for (const std::int64_t count : step.load.counts.layer(0)) routed += count;
    EXPECT_EQ(routed, options_.batch.sequences() * options_.data.sequence_length * options_.model.moe.top_k);
  });
}

/// A model alone, with initial values.
class ReferenceTest : public ::testing::Test {
 protected:
  ReferenceTest()
      : options_(options_of(ObjectiveKind::kDpo, corpus_.dataset())),
        layout_(options_.batch, 1, 1, static_cast<int>(options_.model.moe.experts)),
        world_(std::move(comm::make_inproc_group(1).front())),
        model_(workers::model_setup(options_, layout_, std::ssize(corpus_.dataset().header().domain_names)),
               layout_, *world_, clock_),
        order_(corpus_.dataset(), options_.data.sequence_length, options_.seed) {
    model_.initialize();
  }

  PairCorpus corpus_;
  workers::TrainingOptions options_;
  SystemClock clock_;
  layout::Layout layout_;
  std::unique_ptr<comm::Communicator> world_;
  model::Model model_;
  data::PairOrder order_;
  workers::PairFiles files_{{corpus_.dataset(), order_}, {corpus_.dataset(), order_}};
};

TEST_F(ReferenceTest, IsReadAsItWasWritten) {
  const workers::PairReference reference = workers::compute_reference(model_, files_);
  ASSERT_EQ(std::ssize(reference.train), kPairs);
  for (const model::PairScores& scores : reference.train) {
    // Ten tokens of which a model knows nothing yet.
    EXPECT_NEAR(scores.chosen, -10.0 * std::log(options_.vocab_size), 2.0);
    EXPECT_NE(scores.chosen, scores.rejected);
  }
  const auto file = corpus_.folder() / workers::kReferenceFile;
  workers::write_reference(reference, files_, file);
  workers::write_reference(reference, files_, file);  // a start that was interrupted leaves one
  const workers::PairReference read = workers::read_reference(file, files_);
  for (std::int64_t i = 0; i < kPairs; ++i) {
    EXPECT_EQ(read.train[at(i)].chosen, reference.train[at(i)].chosen);
    EXPECT_EQ(read.heldout[at(i)].rejected, reference.heldout[at(i)].rejected);
  }
}

TEST_F(ReferenceTest, IsRefusedWhenItIsMissingDamagedOrOfOtherPairs) {
  const auto file = corpus_.folder() / workers::kReferenceFile;
  data::expect_error(ErrorCode::kConfig, "is missing", [&] { (void)workers::read_reference(file, files_); });
  workers::PairReference reference = workers::compute_reference(model_, files_);
  workers::write_reference(reference, files_, file);
  std::string bytes = read_file(file, 1 << 20);
  const double number = reference.train[7].rejected;
  const auto place = bytes.find(std::string(reinterpret_cast<const char*>(&number), sizeof number));
  ASSERT_NE(place, std::string::npos);
  bytes[place] ^= 1;
  write_file_atomically(file, bytes);
  data::expect_error(ErrorCode::kCorrupt, "hash", [&] { (void)workers::read_reference(file, files_); });

  data::TokenFileHeader header = corpus_.dataset().header();
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(corpus_.dataset().token_count()));
  corpus_.dataset().read(0, tokens);
  tokens[kPrompt] = (tokens[kPrompt] + 1) % 100;
  data::write_token_file(corpus_.folder() / "others", header, tokens);
  const data::TokenDataset others(corpus_.folder() / "others");
  workers::write_reference(reference, files_, file);
  data::expect_error(ErrorCode::kConfig, "other pairs", [&] {
    (void)workers::read_reference(file, {{others, order_}, {corpus_.dataset(), order_}});
  });
}

TEST_F(ReferenceTest, AnEvaluationOfTheInitialWeightsHasTheLossLn2AndNoPreference) {
  const workers::PairReference reference = workers::compute_reference(model_, files_);
  workers::PairEvaluator evaluator(model_, corpus_.dataset(), order_, reference.heldout);
  const auto result = evaluator.evaluate(1000, [] { return false; });
  std::int64_t pairs = 0;
  for (const auto& [domain, sum] : result->domains) {
    EXPECT_DOUBLE_EQ(sum.nats / static_cast<double>(sum.tokens), std::numbers::ln2) << domain;
    EXPECT_EQ(sum.preferred, 0);
    pairs += sum.tokens;
  }
  EXPECT_EQ(pairs, kPairs);
  EXPECT_FALSE(evaluator.evaluate(1000, [] { return true; }));
}

/// Steps and snapshots, and no events.
class Coordinator final : public workers::RunControl {
 public:
  explicit Coordinator(std::int64_t steps) {
    plan_.version = 1;
    plan_.last_step = steps;
  }
  std::int64_t newest_plan_version() override { return plan_.version; }
  comm::StepPlan plan(std::int64_t /*version*/) override { return plan_; }
  bool stop_requested() override { return false; }
  void set_activity(std::int64_t /*step*/, const std::string& /*activity*/) override {}
  void report(comm::WorkerMessage message) override {
    if (const auto* step = std::get_if<comm::StepFinished>(&message)) metrics[step->step] = step->metrics;
  }

  std::map<std::int64_t, std::map<std::string, double>> metrics;  // by step

 private:
  comm::StepPlan plan_;
};

/// A run of dpo that takes a snapshot in memory after every second step.
class DpoRun : public ::testing::Test {
 protected:
  DpoRun()
      : options_(options_of(ObjectiveKind::kDpo, pairs_.dataset())),
        memory_("test-" + std::to_string(::getpid())) {
    const std::filesystem::path corpus = run_ / "corpus";
    std::filesystem::create_directories(corpus);
    for (const char* part : {data::kTrainFile, data::kHeldoutFile})
      std::filesystem::copy_file(pairs_.dataset().path(), corpus / part);
    std::filesystem::copy_file(source_path("tests/data/tiny/tokenizer.json"), corpus / data::kTokenizerFile);
    options_.steps = 5;
    options_.optimizer.lr = 3e-3;
  }
  ~DpoRun() override { memory_.keep_only(std::nullopt); }

  std::filesystem::path begin_snapshots(comm::Epoch epoch) const {
    return memory_.begin({.identity = "run", .timeline = 0, .epoch = epoch, .workers = 1});
  }
  [[nodiscard]] std::filesystem::path reference() const { return run_ / workers::kReferenceFile; }

  std::map<std::int64_t, std::map<std::string, double>> train(workers::LoopStorage storage) {
    storage.checkpoints = run_ / "checkpoints";
    const workers::TrainingData data(run_ / "corpus", options_);
    const auto world = std::move(comm::make_inproc_group(1).front());
    const layout::Layout layout(options_.batch, 1, 1, static_cast<int>(options_.model.moe.experts));
    workers::StorageThread thread;
    workers::EventOptions events;
    events.snapshot_every = 2;
    Coordinator coordinator(options_.steps);
    workers::TrainingLoop loop(options_, events, storage, data, layout, *world, thread, coordinator, clock_);
    (void)loop.run();
    return coordinator.metrics;
  }

  PairCorpus pairs_;
  std::filesystem::path run_ = pairs_.folder() / "run";
  workers::TrainingOptions options_;
  storage::MemorySnapshots memory_;
  SystemClock clock_;
};

TEST_F(DpoRun, GoesOnFromASnapshotInMemoryWithTheReferenceOfItsBeginning) {
  const std::filesystem::path memory = begin_snapshots(1);
  workers::LoopStorage anew;
  anew.snapshots = memory.string();
  const auto whole = train(anew);
  const std::string reference_bytes = read_file(reference(), 1 << 20);
  workers::LoopStorage from_memory;
  from_memory.snapshot = memory.string();
  from_memory.snapshot_step = 4;
  const auto rest = train(from_memory);
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_GT(rest.at(5).at("preference_margin"), 0.01);  // it would be 0 beside the weights of step 4
  for (const char* name : {"preference_margin", "loss_lm", "grad_norm"})
    EXPECT_EQ(rest.at(5).at(name), whole.at(5).at(name)) << name;
  EXPECT_EQ(read_file(reference(), 1 << 20), reference_bytes);
  std::filesystem::remove(reference());
  data::expect_error(ErrorCode::kConfig, "reference.h5 is missing", [&] { (void)train(from_memory); });
}

}  // namespace
}  // namespace troupe::test
