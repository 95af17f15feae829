// What an evaluation counts, against the sequences themselves.
#include "workers/evaluator.h"

#include <gtest/gtest.h>

#include <mutex>
#include <numeric>
#include <thread>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "data/sequence_reader.h"
#include "tensor/parallel.h"
#include "tests/end_to_end/inproc_training.h"
#include "workers/training_options.h"

namespace troupe::workers {
namespace {

constexpr std::int64_t kSequences = 7;  // does not fill the last microbatch of 2, nor a round of 3 workers

const data::TokenDataset& dataset() {
  static const data::TokenDataset dataset = test::tiny_dataset();
  return dataset;
}

TrainingOptions options() {
  TrainingOptions options = test::tiny_options(dataset());
  options.batch.micro_batch = 2;
  return options;
}

/// Of the first worker; all evaluate.
EvaluationResult evaluate(int workers) {
  const TrainingOptions training = options();
  const layout::Layout layout(training.batch, workers, workers, static_cast<int>(training.model.moe.experts));
  const SystemClock clock;
  EvaluationResult result;
  std::vector<std::jthread> threads;
  for (auto& communicator : comm::make_inproc_group(workers)) {
    threads.emplace_back([&, world = std::move(communicator)] {
      use_one_library_thread();
      model::Model model(model_setup(training, layout, std::ssize(dataset().header().domain_names)), layout,
                         *world, clock);
      model.initialize();
      const EvaluationResult own = Evaluator(model, dataset(), true).evaluate(kSequences);
      if (world->rank() == 0) result = own;
    });
  }
  threads.clear();  // joins
  return result;
}

struct Counted {
  std::map<std::string, DomainResult> domains;  // without their loss
  std::vector<std::int64_t> tokens_of_domain;   // also those that nothing predicts
};

Counted count() {
  const data::EvaluationOrder order(dataset(), options().data.sequence_length, kSequences);
  data::SequenceReader reader(dataset(), order, options().data.sequence_length, true);
  const auto& names = dataset().header().domain_names;
  Counted counted{.domains = {}, .tokens_of_domain = std::vector<std::int64_t>(names.size())};
  for (std::int64_t number = 0; number < order.size(); ++number) {
    const data::Sequences& sequence = reader.read(std::array{number});
    for (std::size_t t = 0; t < static_cast<std::size_t>(sequence.length); ++t) {
      const auto domain = static_cast<std::size_t>(sequence.domains[t]);
      ++counted.tokens_of_domain[domain];
      if (sequence.targets[t] == data::kMaskedTarget) continue;
      DomainResult& sum = counted.domains[names[domain]];
      ++sum.tokens;
      sum.bytes += dataset().header().token_bytes[static_cast<std::size_t>(sequence.targets[t])];
    }
  }
  return counted;
}

TEST(Evaluator, CountsThePredictedTokensAndTheirBytesByDomain) {
  const EvaluationResult result = evaluate(1);
  const Counted expected = count();
  ASSERT_EQ(result.domains.size(), expected.domains.size());
  for (const auto& [name, sum] : expected.domains) {
    EXPECT_EQ(result.domains.at(name).tokens, sum.tokens) << name;
    EXPECT_EQ(result.domains.at(name).bytes, sum.bytes) << name;
    const double nats = result.domains.at(name).nats / static_cast<double>(sum.tokens);
    EXPECT_NEAR(nats, std::log(static_cast<double>(options().vocab_size)), 0.5) << "of initial weights";
  }
}

TEST(Evaluator, CountsTheLoadOfEveryTokenAndOfNoOther) {
  EvaluationResult result = evaluate(1);
  const Counted expected = count();
  const auto choices = static_cast<std::size_t>(options().model.moe.choices());
  for (int layer = 0; layer < result.load.counts.layers(); ++layer) {
    const auto load = result.load.layer(layer);
    for (std::size_t domain = 0; domain < expected.tokens_of_domain.size(); ++domain) {
      const auto row = load.domains.subspan(domain * choices, choices);
      EXPECT_EQ(std::accumulate(row.begin(), row.end(), std::int64_t{0}),
                options().model.moe.top_k * expected.tokens_of_domain[domain])
          << "layer " << layer << ", domain " << domain;
    }
    EXPECT_EQ(std::accumulate(load.counts.begin(), load.counts.end(), std::int64_t{0}),
              options().model.moe.top_k * kSequences * options().data.sequence_length);
  }
}

TEST(Evaluator, HasTheSameBitsOnThreeWorkers) {
  const EvaluationResult one = evaluate(1);
  const EvaluationResult three = evaluate(3);
  EXPECT_TRUE(one.load == three.load);
  ASSERT_EQ(one.domains.size(), three.domains.size());
  for (const auto& [name, sum] : one.domains) {
    EXPECT_EQ(sum.nats, three.domains.at(name).nats) << name;
    EXPECT_EQ(sum.tokens, three.domains.at(name).tokens) << name;
  }
}

}  // namespace
}  // namespace troupe::workers
