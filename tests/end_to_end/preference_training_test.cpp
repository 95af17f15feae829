// Objectives that compare two answers: layouts, the first step, what is learned, the reference of dpo.
#include <gtest/gtest.h>

#include <numbers>

#include "base/clock.h"
#include "base/file.h"
#include "base/index.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "data/token_file_writer.h"
#include "tests/data/expect_error.h"
#include "tests/end_to_end/inproc_training.h"
#include "tests/scratch_folder.h"
#include "workers/preferences/pair_evaluator.h"
#include "workers/preferences/pair_reference.h"

namespace troupe::test {
namespace {

using model::ObjectiveKind;

constexpr std::int64_t kPairs = 96;
constexpr std::int64_t kPrompt = 6;  // tokens
constexpr std::int64_t kAnswer = 9;

/// Prompts of the committed corpus; the chosen answer is the text that follows, the rejected one the same
/// backwards.
class PairCorpus {
 public:
  PairCorpus() : file_(folder_ / "pairs"), dataset_(write()) {}
  [[nodiscard]] const data::TokenDataset& dataset() const { return dataset_; }
  [[nodiscard]] const ScratchFolder& folder() const { return folder_; }

 private:
  data::TokenDataset write() {
    const data::TokenDataset text = tiny_dataset();
    data::TokenFileHeader header = text.header();
    header.document_offsets = {0};
    header.document_domains.clear();
    header.pairs = true;
    std::vector<std::int32_t> tokens;
    std::vector<std::int64_t> trained;
    for (std::int64_t pair = 0; pair < kPairs; ++pair) {
      std::vector<std::int32_t> read(static_cast<std::size_t>(kPrompt + kAnswer));
      text.read(text.document(pair).first, read);
      for (const bool chosen : {true, false}) {
        if (!chosen) std::reverse(read.begin() + kPrompt, read.end());
        const std::int64_t begin = std::ssize(tokens);
        tokens.insert(tokens.end(), read.begin(), read.end());
        tokens.push_back(header.end_of_text);
        data::append_span(begin + kPrompt, std::ssize(tokens), trained);
        header.document_offsets.push_back(std::ssize(tokens));
        header.document_domains.push_back(text.header().document_domains[static_cast<std::size_t>(pair)]);
      }
    }
    header.trained = data::TrainedSpans(std::move(trained));
    data::write_token_file(file_, header, tokens);
    return data::TokenDataset(file_);
  }

  ScratchFolder folder_;
  std::filesystem::path file_;
  data::TokenDataset dataset_;
};

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

}  // namespace
}  // namespace troupe::test
