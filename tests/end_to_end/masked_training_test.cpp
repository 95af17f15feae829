// Training on a corpus of which some tokens are context only: layouts, gradients, batches without a target.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "base/random.h"
#include "data/batch_order.h"
#include "data/token_file_writer.h"
#include "tests/end_to_end/inproc_training.h"
#include "tests/scratch_folder.h"
#include "workers/step/batch_loader.h"

namespace troupe::test {
namespace {

using Borders = std::vector<std::int64_t>;

/// The committed corpus, of which these tokens are trained.
class MaskedCorpus {
 public:
  MaskedCorpus() : header_(tiny_dataset().header()) {
    const data::TokenDataset dataset = tiny_dataset();
    tokens_.resize(static_cast<std::size_t>(dataset.token_count()));
    dataset.read(0, tokens_);
  }

  [[nodiscard]] std::vector<std::int32_t>& tokens() { return tokens_; }
  [[nodiscard]] const data::TokenFileHeader& header() const { return header_; }
  void train(data::TrainedSpans spans) { header_.trained = std::move(spans); }
  [[nodiscard]] data::TokenDataset write() {
    const auto file = folder_ / std::to_string(files_++);
    data::write_token_file(file, header_, tokens_);
    return data::TokenDataset(file);
  }

 private:
  ScratchFolder folder_;
  data::TokenFileHeader header_;
  std::vector<std::int32_t> tokens_;
  int files_ = 0;
};

/// Of every document some runs, as a chat's answers.
data::TrainedSpans answers(const data::TokenFileHeader& header) {
  const Random random(2, RandomPurpose::kTest);
  Borders borders;
  const std::int64_t tokens = header.document_offsets.back();
  std::uint64_t number = 0;
  for (std::int64_t token = 0; token < tokens;) {
    const auto skipped = static_cast<std::int64_t>(random.below(number++, 40));
    const auto begin = std::min(tokens, token + skipped);
    const auto end = std::min(tokens, begin + 1 + static_cast<std::int64_t>(random.below(number++, 12)));
    if (begin < end) data::append_span(begin, end, borders);
    token = end;
  }
  return data::TrainedSpans(std::move(borders));
}

TEST(MaskedTraining, HasTheSameBitsOnEveryLayout) {
  MaskedCorpus corpus;
  corpus.train(answers(corpus.header()));
  const data::TokenDataset dataset = corpus.write();
  const auto options = tiny_options(dataset);
  const TrainingRecord expected = train_inproc(options, dataset, {1, 1, 1}, 3);
  for (const WorkerLayout& layout : {WorkerLayout{2, 2, 1}, WorkerLayout{2, 1, 2}, WorkerLayout{3, 3, 1}})
    EXPECT_TRUE(train_inproc(options, dataset, layout, 3) == expected) << layout.workers << " workers";
  const TrainingRecord plain = train_inproc(options, tiny_dataset(), {1, 1, 1}, 3);
  EXPECT_FALSE(plain == expected);
  // Routing counts every token, whether it is predicted or not; the first step's is before any update.
  EXPECT_EQ(plain.steps[0].load, expected.steps[0].load);
}

TEST(MaskedTraining, DividesTheLossByTheTrainedTokensOfTheGlobalBatch) {
  MaskedCorpus corpus;
  corpus.train(answers(corpus.header()));
  const data::TokenDataset dataset = corpus.write();
  const auto options = tiny_options(dataset);
  const data::BatchOrder order(dataset, options.data.sequence_length, options.seed);
  const workers::BatchLoader loader(dataset, order, options.data.sequence_length, true, options.batch);
  data::SequenceReader reader(dataset, order, options.data.sequence_length, true);
  for (std::int64_t first = 0; first < 3 * options.batch.sequences(); first += options.batch.sequences()) {
    std::int64_t targets = 0;
    for (std::int64_t i = 0; i < options.batch.sequences(); ++i) {
      const auto& read = reader.read(std::array{first + i}).targets;
      targets += std::ssize(read) - std::ranges::count(read, data::kMaskedTarget);
    }
    EXPECT_EQ(loader.target_tokens(first), targets);
    EXPECT_LT(targets, options.batch.sequences() * options.data.sequence_length / 2);
  }
}

/// Documents whose last three tokens before the end of text are context: nothing trained sees them.
class PromptTargets : public ::testing::Test {
 protected:
  PromptTargets() {
    Borders borders;
    const auto& offsets = corpus_.header().document_offsets;
    for (std::size_t d = 0; d + 1 < offsets.size(); ++d) {
      if (offsets[d + 1] - offsets[d] < 6) continue;
      data::append_span(offsets[d], offsets[d + 1] - 4, borders);
      context_.push_back(offsets[d + 1] - 4);
    }
    trained_ = data::TrainedSpans(std::move(borders));
  }
  /// Weights after two steps of a model without experts, where no row of a batch changes its place.
  TrainingRecord train() {
    const data::TokenDataset dataset = corpus_.write();
    auto options = tiny_options(dataset);
    options.model.moe.first_dense_layers = options.model.layers;
    options.model.moe.aux_loss.clear();
    return train_inproc(options, dataset, {2, 1, 1}, 2);
  }
  void change_context() {
    for (const std::int64_t token : context_) {
      for (std::int64_t i = 0; i < 3; ++i) {
        std::int32_t& id = corpus_.tokens()[static_cast<std::size_t>(token + i)];
        id = (id + 1 + static_cast<std::int32_t>(i)) % 200;
        if (id == corpus_.header().end_of_text) ++id;
      }
    }
  }

  MaskedCorpus corpus_;
  std::vector<std::int64_t> context_;
  data::TrainedSpans trained_;
};

TEST_F(PromptTargets, HaveNoGradient) {
  corpus_.train(trained_);
  const TrainingRecord before = train();
  change_context();
  EXPECT_TRUE(train() == before);
}

// The comparison above means something only if the same change is noticed where all tokens are trained.
TEST_F(PromptTargets, HaveAGradientWhereAllTokensAreTrained) {
  const TrainingRecord before = train();
  change_context();
  EXPECT_FALSE(train() == before);
}

TEST(MaskedTraining, ABatchWithoutATrainedTokenHasNoLossAndIsAStepLikeAnyOther) {
  MaskedCorpus corpus;
  corpus.train(data::TrainedSpans(Borders{}));
  const data::TokenDataset dataset = corpus.write();
  auto options = tiny_options(dataset);
  options.model.moe.aux_loss.clear();
  options.model.moe.router.z_loss = 0.0;
  const TrainingRecord one = train_inproc(options, dataset, {1, 1, 1}, 2, [](auto&, const auto& step) {
    EXPECT_FALSE(step.skipped);
    EXPECT_EQ(step.loss, 0.0);
    EXPECT_EQ(step.loss_lm, 0.0);
    EXPECT_EQ(step.grad_norm, 0.0);
  });
  EXPECT_TRUE(train_inproc(options, dataset, {3, 3, 1}, 2) == one);
  for (const auto& [name, values] : one.weights) {
    for (const float value : values) ASSERT_TRUE(std::isfinite(value)) << name.first;
  }
}

}  // namespace
}  // namespace troupe::test
