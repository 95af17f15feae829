#include "tasks/likelihood.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "data/tokenizer/tokenizer_json.h"
#include "tensor/parallel.h"
#include "tests/end_to_end/inproc_training.h"
#include "workers/training_options.h"

namespace troupe::tasks {
namespace {

const data::TokenDataset& dataset() {
  static const data::TokenDataset dataset = test::tiny_dataset();
  return dataset;
}

data::Tokenizer tiny_tokenizer() {
  return data::read_tokenizer_json(TROUPE_SOURCE_DIR "/tests/data/tiny/" + std::string(data::kTokenizerFile));
}

/// Random weights, for two sequences of 32 at once.
std::unique_ptr<model::Model> make_model(comm::Communicator& world, const Clock& clock) {
  workers::TrainingOptions options = test::tiny_options(dataset());
  options.batch.micro_batch = 2;
  options.data.sequence_length = 32;
  const layout::Layout layout(options.batch, world.size(), world.size(),
                              static_cast<int>(options.model.moe.experts));
  auto model = std::make_unique<model::Model>(workers::model_setup(options, layout, 0), layout, world, clock);
  model->initialize();
  for (float& value : model->dense_values()) value *= 3.0F;  // far from even
  return model;
}

std::vector<Choice> many_choices() {
  std::vector<Choice> choices;
  for (int i = 0; i < 12; ++i) {
    choices.push_back({"The cat number " + std::to_string(i * 37), i % 2 == 0 ? " sat on the mat." : " ran"});
  }
  choices.push_back({"", "Alone"});
  choices.push_back(
      {"A context that is far too long for the sequence of this model, so that its front is cut off, "
       "which takes some more words than one would think",
       " until here"});
  return choices;
}

class LikelihoodTest : public ::testing::Test {
 protected:
  LikelihoodTest()
      : tokenizer_(tiny_tokenizer()),
        world_(std::move(comm::make_inproc_group(1).front())),
        model_(make_model(*world_, clock_)) {}

  /// Token by token: the logits of the last row of every prefix.
  double plainly(const Choice& choice) {
    std::vector<std::int32_t> tokens{tokenizer_.document_start()};
    for (const auto id : tokenizer_.encode(choice.context + choice.answer)) tokens.push_back(id);
    const auto context = tokenizer_.encode(choice.context).size();
    if (tokens.size() > 33) tokens.erase(tokens.begin(), tokens.end() - 33);
    const auto answer = tokenizer_.encode(choice.context + choice.answer).size() - context;
    double sum = 0.0;
    for (std::size_t next = tokens.size() - answer; next < tokens.size(); ++next) {
      std::vector<std::int32_t> input(32, tokenizer_.end_of_text());
      std::copy_n(tokens.begin(), next, input.begin());
      std::vector<std::int32_t> positions(32);
      std::iota(positions.begin(), positions.end(), 0);
      const std::vector<std::int32_t> first_visible(32, 0);
      std::vector<float> logits(static_cast<std::size_t>(model_->shape().vocab_size));
      model_->transformer().logits_of_row({.tokens = {input.data(), Shape{32}},
                                           .positions = {positions.data(), Shape{32}},
                                           .first_visible = {first_visible.data(), Shape{32}}},
                                          model_->frozen_context(), model_->weights(),
                                          static_cast<std::int64_t>(next) - 1, logits);
      double z = 0.0;
      for (const float logit : logits) z += std::exp(static_cast<double>(logit));
      sum += static_cast<double>(logits[static_cast<std::size_t>(tokens[next])]) - std::log(z);
    }
    return sum;
  }

  SystemClock clock_;
  data::Tokenizer tokenizer_;
  std::unique_ptr<comm::Communicator> world_;
  std::unique_ptr<model::Model> model_;
};

TEST_F(LikelihoodTest, OfManyPackedAnswersIsThatOfEachAlone) {
  const std::vector<Choice> choices = many_choices();
  Likelihood likelihood(*model_, tokenizer_);
  std::size_t last = 0;
  const auto actual = likelihood.of(choices, [&](std::size_t done) {
    EXPECT_GT(done, last);
    last = done;
  });
  EXPECT_EQ(last, choices.size());
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const double expected = plainly(choices[i]);
    EXPECT_NEAR(actual[i], expected, 1e-3 * std::abs(expected)) << choices[i].context << choices[i].answer;
  }
}

TEST_F(LikelihoodTest, HasTheSameBitsOnEveryOfManyWorkers) {
  const std::vector<Choice> choices = many_choices();  // of more microbatches than workers, no multiple
  Likelihood by_one(*model_, tokenizer_);
  const std::vector<double> alone = by_one.of(choices);
  const std::vector<double> first = by_one.of({&choices[0], 1});  // fewer rows may round otherwise
  for (const int workers : {2, 3}) {
    std::vector<std::jthread> threads;
    for (auto& communicator : comm::make_inproc_group(workers)) {
      threads.emplace_back([&, world = std::move(communicator)] {
        use_one_library_thread();
        const auto model = make_model(*world, clock_);
        Likelihood likelihood(*model, tokenizer_);
        EXPECT_EQ(likelihood.of(choices), alone) << workers << " workers, rank " << world->rank();
        EXPECT_EQ(likelihood.of({&choices[0], 1}), first);
      });
    }
  }
}

TEST_F(LikelihoodTest, AnAnswerThatFillsTheSequenceIsRefused) {
  std::string longest;
  for (int i = 0; i < 40; ++i) longest += " x7q";
  Likelihood likelihood(*model_, tokenizer_);
  EXPECT_THROW(static_cast<void>(likelihood.of(std::vector<Choice>{{"c", longest}})), Error);
}

TEST_F(LikelihoodTest, NothingToAskIsNoWork) {
  Likelihood likelihood(*model_, tokenizer_);
  EXPECT_TRUE(likelihood.of({}).empty());
}

}  // namespace
}  // namespace troupe::tasks
