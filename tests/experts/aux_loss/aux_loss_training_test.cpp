// Auxiliary losses of whole training steps: the same over layouts, microbatches and accumulation steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <mutex>
#include <numeric>

#include "base/clock.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "data/batch_order.h"
#include "tests/end_to_end/inproc_training.h"
#include "workers/evaluator.h"
#include "workers/step/held_microbatches.h"
#include "workers/step/trainer.h"

namespace troupe::test {
namespace {

using experts::AuxLossKind;
using experts::AuxScope;
using experts::FrequencySource;

const data::TokenDataset& dataset() {
  static const data::TokenDataset dataset = tiny_dataset();
  return dataset;
}

/// Every scope and source, importance and orthogonal; 8 lanes of 8 replicas at most, 3 accumulation steps.
workers::TrainingOptions all_losses() {
  auto options = tiny_options(dataset());
  options.batch = {.accumulation_steps = 3, .grad_lanes = 24, .expert_lanes = 24, .micro_batch = 1};
  options.model.layers = 2;
  options.model.moe.aux_loss.clear();
  for (const AuxScope scope :
       {AuxScope::kMicro, AuxScope::kSequence, AuxScope::kGlobal, AuxScope::kRunning, AuxScope::kPrevious}) {
    for (const FrequencySource source : {FrequencySource::kActual, FrequencySource::kUnbiased})
      options.model.moe.aux_loss.push_back({.scope = scope, .coefficient = 0.02, .f_source = source});
  }
  options.model.moe.aux_loss.push_back({.kind = AuxLossKind::kImportance, .coefficient = 0.02});
  options.model.moe.aux_loss.push_back({.kind = AuxLossKind::kOrthogonal, .coefficient = 0.02});
  return options;
}

TEST(AuxLossOverLayouts, AllScopesAndKindsHaveTheSameBits) {
  const TrainingRecord expected = train_inproc(all_losses(), dataset(), {1, 1, 1}, 2);
  for (const WorkerLayout& layout : {WorkerLayout{2, 2, 1}, WorkerLayout{3, 1, 1}, WorkerLayout{4, 2, 2},
                                     WorkerLayout{5, 5, 1}, WorkerLayout{8, 4, 1}}) {
    EXPECT_TRUE(train_inproc(all_losses(), dataset(), layout, 2) == expected)
        << layout.workers << " workers, expert_parallel " << layout.expert_parallel;
  }
}

TEST(AuxLossOverLayouts, TheLossesOfNoisyTopKHaveTheSameBits) {
  auto options = all_losses();
  options.model.moe.router.score = experts::Score::kSoftmax;
  options.model.moe.router.softmax_after_topk = true;
  options.model.moe.router.selection = experts::Selection::kNoisyTopK;
  options.model.moe.balancer.kind = experts::BalancerKind::kNone;
  options.model.moe.aux_loss = {{.kind = AuxLossKind::kImportance, .coefficient = 0.1},
                                {.kind = AuxLossKind::kLoad, .coefficient = 0.1}};
  const TrainingRecord expected = train_inproc(options, dataset(), {1, 1, 1}, 2);
  for (const WorkerLayout& layout : {WorkerLayout{2, 1, 2}, WorkerLayout{3, 3, 1}, WorkerLayout{8, 4, 1}})
    EXPECT_TRUE(train_inproc(options, dataset(), layout, 2) == expected) << layout.workers << " workers";
}

/// Two steps of the same 16 sequences each with one loss, cut by microbatch size; the rest is one lane.
TrainingRecord train_cut(AuxScope scope, int micro_batch, int lanes) {
  auto options = tiny_options(dataset());
  options.batch = {.accumulation_steps = 16 / micro_batch / lanes,
                   .grad_lanes = lanes,
                   .expert_lanes = 1,
                   .micro_batch = micro_batch};
  options.model.layers = 2;
  options.model.moe.aux_loss = {{.scope = scope, .coefficient = 1.0}};
  return train_inproc(options, dataset(), {1, 1, 1}, 2);
}

double loss_of(const TrainingRecord& record) { return std::bit_cast<double>(record.steps.back().loss_bits); }
double norm_of(const TrainingRecord& record) {
  return std::bit_cast<double>(record.steps.back().grad_norm_bits);
}

class ScopeOverCuts : public testing::TestWithParam<AuxScope> {};

TEST_P(ScopeOverCuts, LossAndGradientAreEqualForEveryMicrobatchSizeAndAccumulation) {
  const TrainingRecord whole = train_cut(GetParam(), 4, 4);
  for (const auto& [micro_batch, lanes] : {std::pair{1, 4}, {2, 4}, {1, 16}, {2, 2}, {4, 1}}) {
    const TrainingRecord cut = train_cut(GetParam(), micro_batch, lanes);
    EXPECT_NEAR(loss_of(cut), loss_of(whole), 2e-5 * loss_of(whole)) << micro_batch << " x " << lanes;
    EXPECT_NEAR(norm_of(cut), norm_of(whole), 1e-4 * norm_of(whole)) << micro_batch << " x " << lanes;
  }
}

INSTANTIATE_TEST_SUITE_P(Scopes, ScopeOverCuts, testing::Values(AuxScope::kSequence, AuxScope::kGlobal));

TEST(MicroScope, DependsOnTheMicrobatchSize) {
  const double one = loss_of(train_cut(AuxScope::kMicro, 1, 4));
  const double four = loss_of(train_cut(AuxScope::kMicro, 4, 4));
  EXPECT_GT(std::abs(one - four), 2e-4 * four);  // ten times what other scopes are equal to
}

TEST(RunningScope, SeesTheAccumulationStepsSoFarOfAllLanes) {
  const double running = loss_of(train_cut(AuxScope::kRunning, 1, 4));
  EXPECT_GT(std::abs(running - loss_of(train_cut(AuxScope::kMicro, 1, 4))), 1e-4 * running);
  EXPECT_GT(std::abs(running - loss_of(train_cut(AuxScope::kGlobal, 1, 4))), 1e-5 * running);
}

TEST(RunningScope, WithOneAccumulationStepIsGlobalAndNotMicro) {
  EXPECT_TRUE(train_cut(AuxScope::kRunning, 4, 4) == train_cut(AuxScope::kGlobal, 4, 4));
  EXPECT_FALSE(train_cut(AuxScope::kRunning, 4, 4) == train_cut(AuxScope::kMicro, 4, 4));
}

using Gradient = std::map<std::pair<std::string, std::int64_t>, std::vector<float>>;

/// A step's whole gradient, up to one factor: first moments after the first update.
Gradient gradient_of(const workers::TrainingOptions& options, const WorkerLayout& layout) {
  Gradient gradient;
  std::mutex mutex;
  const auto keep = [&](workers::Trainer& trainer, const workers::StepResult&) {
    auto& state = trainer.state();
    const auto add = [&](const ParameterTable& table, workers::Partition::Slice slice,
                         std::span<const float> moment) {
      for_each_stretch(
          table, slice,
          [&](const ParameterSpec& spec, std::int64_t element, std::int64_t at, std::int64_t length) {
            auto& values = gradient[{spec.name, spec.expert}];
            values.resize(static_cast<std::size_t>(spec.elements()));
            std::copy_n(moment.begin() + (at - slice.begin), length,
                        values.begin() + (element - spec.global_begin()));
          });
    };
    const std::scoped_lock lock(mutex);
    add(trainer.model().dense_table(), state.partition.dense_slice(), state.dense_adamw.first_moment());
    add(trainer.model().expert_table(), state.partition.expert_slice(), state.expert_adamw.first_moment());
  };
  train_inproc(options, dataset(), layout, 1, keep);
  return gradient;
}

/// ‖a − b‖ / ‖b‖ over all parameters.
double difference(const Gradient& a, const Gradient& b) {
  EXPECT_EQ(a.size(), b.size());
  double apart = 0.0;
  double norm = 0.0;
  for (const auto& [name, values] : b) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double delta = static_cast<double>(a.at(name).at(i)) - values[i];
      apart += delta * delta;
      norm += static_cast<double>(values[i]) * values[i];
    }
  }
  return std::sqrt(apart / norm);
}

/// 16 sequences in one step with one loss that weighs as much as the text.
workers::TrainingOptions one_step(AuxScope scope, int accumulation_steps, int lanes, int micro_batch) {
  auto options = tiny_options(dataset());
  options.batch = {.accumulation_steps = accumulation_steps,
                   .grad_lanes = lanes,
                   .expert_lanes = lanes,
                   .micro_batch = micro_batch};
  options.model.layers = 2;
  options.model.moe.aux_loss = {{.scope = scope, .coefficient = 1.0}};
  options.optimizer.grad_clip = 0.0;
  return options;
}

class GlobalScope : public testing::TestWithParam<std::pair<int, int>> {};  // accumulation steps, workers

TEST_P(GlobalScope, HasTheGradientOfOneBigMicrobatchOnOneWorker) {
  const auto [accumulation_steps, workers] = GetParam();
  static const Gradient whole = gradient_of(one_step(AuxScope::kMicro, 1, 1, 16), {1, 1, 1});
  const int micro_batch = 4 / accumulation_steps;
  const WorkerLayout layout{workers, workers, 1};
  const Gradient cut = gradient_of(one_step(AuxScope::kGlobal, accumulation_steps, 4, micro_batch), layout);
  EXPECT_LT(difference(cut, whole), 1e-6);
  const Gradient micro = gradient_of(one_step(AuxScope::kMicro, accumulation_steps, 4, micro_batch), layout);
  EXPECT_GT(difference(micro, whole), 1e-3);  // a wrong f would be seen
}

INSTANTIATE_TEST_SUITE_P(AccumulationStepsAndWorkers, GlobalScope,
                         testing::Values(std::pair{1, 1}, std::pair{2, 1}, std::pair{4, 1}, std::pair{1, 2},
                                         std::pair{2, 2}, std::pair{4, 2}, std::pair{1, 4}, std::pair{2, 4},
                                         std::pair{4, 4}),
                         [](const auto& instance) {
                           return std::to_string(instance.param.first) + "accumulation_steps" +
                                  std::to_string(instance.param.second) + "workers";
                         });

TEST(HeldMicrobatches, ChangeNoBitHoweverFewAreHeld) {
  auto options = all_losses();
  options.model.moe.router.jitter = 0.1;  // random numbers are the same again
  const TrainingRecord all = train_inproc(options, dataset(), {3, 1, 1}, 2);
  for (const std::int64_t held : {1, 2, 5}) {
    options.hold_microbatches = held;
    EXPECT_TRUE(train_inproc(options, dataset(), {3, 1, 1}, 2) == all) << held << " held";
    EXPECT_TRUE(train_inproc(options, dataset(), {2, 2, 1, true}, 2) == all) << held << " held, recomputed";
  }
}

TEST(HeldMicrobatches, AreAsManyAsFit) {
  EXPECT_EQ(workers::microbatches_that_fit(8, 100, 350), 3);
  EXPECT_EQ(workers::microbatches_that_fit(8, 100, 5000), 8);
  EXPECT_EQ(workers::microbatches_that_fit(8, 100, 50), 1);
}

/// One worker's trainer, one layer with experts after a dense one.
struct OneWorker {
  explicit OneWorker(const workers::TrainingOptions& given) : options(given) { model.initialize(); }
  workers::TrainingOptions options;
  layout::Layout layout{options.batch, 1, 1, static_cast<int>(options.model.moe.experts)};
  data::BatchOrder order{dataset(), options.data.sequence_length, options.seed};
  SystemClock clock;
  std::vector<std::unique_ptr<comm::Communicator>> group = comm::make_inproc_group(1);
  model::Model model{workers::model_setup(options, layout, std::ssize(dataset().header().domain_names)),
                     layout, *group[0], clock};
  workers::Trainer trainer{options, model, dataset(), order};

  [[nodiscard]] std::int64_t counted() const {
    const auto counts = trainer.state().previous_counts.all();
    return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  }
  /// (token, slot) pairs of a global batch.
  [[nodiscard]] std::int64_t pairs() const {
    return options.batch.sequences() * options.data.sequence_length * options.model.moe.top_k;
  }
};

workers::TrainingOptions small_options() {
  auto options = tiny_options(dataset());
  options.batch = {.accumulation_steps = 3, .grad_lanes = 4, .expert_lanes = 1, .micro_batch = 1};
  options.model.layers = 2;
  options.model.moe.aux_loss = {{.scope = AuxScope::kGlobal}, {.scope = AuxScope::kRunning}};
  return options;
}

TEST(CountsOfABatch, CountEveryPairOnceBeforeDrops) {
  auto options = small_options();
  options.model.moe.capacity = {.kind = experts::CapacityKind::kFactor, .factor = 0.5};
  OneWorker worker(options);
  worker.trainer.step({});
  EXPECT_EQ(worker.counted(), worker.pairs());
}

TEST(CountsOfABatch, MoveTheBiasOnceHoweverManyAccumulationSteps) {
  auto options = small_options();
  options.model.moe.balancer.rate = 0.25;
  OneWorker worker(options);
  worker.trainer.step({});
  bool moved = false;
  for (const float bias : worker.model.bias()) {
    EXPECT_TRUE(std::abs(bias) == 0.25F || bias == 0.0F) << bias;
    moved = moved || bias != 0.0F;
  }
  EXPECT_TRUE(moved);
}

TEST(CountsOfABatch, ReachNeitherBiasNorLossFromASkippedStep) {
  OneWorker worker(small_options());
  auto& trainer = worker.trainer;
  trainer.step({});
  const auto counts = trainer.state().previous_counts;
  const std::vector<float> bias(worker.model.bias().begin(), worker.model.bias().end());
  worker.model.dense_values()[0] = std::nanf("");
  EXPECT_TRUE(trainer.step({}).skipped);
  EXPECT_EQ(trainer.state().previous_counts, counts);
  EXPECT_TRUE(std::ranges::equal(worker.model.bias(), bias));
}

TEST(CountsOfABatch, AreUntouchedByAnEvaluation) {
  OneWorker evaluated(small_options());
  OneWorker plain(small_options());
  const data::TokenDataset heldout(TROUPE_SOURCE_DIR "/tests/data/tiny/heldout.h5");
  evaluated.trainer.step({});
  plain.trainer.step({});
  static_cast<void>(workers::Evaluator(evaluated.model, heldout, true).evaluate(8));
  EXPECT_EQ(evaluated.trainer.state().previous_counts, plain.trainer.state().previous_counts);
  EXPECT_TRUE(std::ranges::equal(evaluated.model.bias(), plain.model.bias()));
  EXPECT_EQ(evaluated.trainer.step({}).loss, plain.trainer.step({}).loss);
}

}  // namespace
}  // namespace troupe::test
