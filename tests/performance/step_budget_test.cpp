// What a training step may cost, in numbers that are the same on every machine.
#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "base/index.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "data/batch_order.h"
#include "data/preferences/pair_order.h"
#include "model/parameters.h"
#include "tensor/parallel.h"
#include "tests/end_to_end/inproc_training.h"
#include "tests/end_to_end/pair_corpus.h"
#include "tests/experts/dispatch/counting_communicator.h"
#include "tests/performance/allocation_counter.h"
#include "workers/step/trainer.h"

namespace troupe::test {
namespace {

const data::TokenDataset& dataset() {
  static const data::TokenDataset dataset = tiny_dataset();
  return dataset;
}

workers::TrainingOptions options_with(const std::function<void(workers::TrainingOptions&)>& change = {}) {
  workers::TrainingOptions options = tiny_options(dataset());
  options.batch = {.accumulation_steps = 2, .grad_lanes = 4, .expert_lanes = 1, .micro_batch = 2};
  options.profile_ops = true;
  if (change) change(options);
  return options;
}

std::int64_t tokens_of(const workers::TrainingOptions& options) {
  return options.batch.sequences() * options.data.sequence_length;
}

/// One worker in this thread.
class OneWorker {
 public:
  explicit OneWorker(workers::TrainingOptions options)
      : options_(std::move(options)),
        order_(dataset(), options_.data.sequence_length, options_.seed),
        world_(std::move(comm::make_inproc_group(1).front())),
        layout_(options_.batch, 1, 1, static_cast<int>(options_.model.moe.experts)),
        model_(workers::model_setup(options_, layout_, std::ssize(dataset().header().domain_names)), layout_,
               *world_, clock_),
        trainer_(options_, model_, dataset(), order_) {
    use_one_library_thread();
    model_.initialize();
  }
  const workers::StepResult& step() { return trainer_.step({}); }
  [[nodiscard]] model::Model& model() { return model_; }
  [[nodiscard]] const workers::TrainingOptions& options() const { return options_; }

  [[nodiscard]] double product_flop() const {
    double flop = 0.0;
    for (std::size_t phase = 0; phase < kPhaseNames.size(); ++phase)
      flop += model_.profile().work(static_cast<Phase>(phase), OpKind::kGemm).flop;
    return flop;
  }

 private:
  SystemClock clock_;
  workers::TrainingOptions options_;
  data::BatchOrder order_;
  std::unique_ptr<comm::Communicator> world_;
  layout::Layout layout_;
  model::Model model_;
  workers::Trainer trainer_;
};

/// Elements of all matrices that one token is multiplied with; a tied embedding is the head.
double elements_used_by_a_token(const workers::TrainingOptions& options) {
  double elements = 0.0;
  for (const ParameterSpec& spec : model::parameter_specs(options.model, options.vocab_size)) {
    const bool is_matrix = spec.shape.rank() == 2;
    if (!is_matrix || spec.expert > 0) continue;
    const double times =
        spec.kind == ParameterKind::kExpert ? static_cast<double>(options.model.moe.top_k) : 1.0;
    elements += times * static_cast<double>(spec.elements());
  }
  return elements;
}

TEST(StepBudget, TheCounterSeesWhatAStepWouldAllocate) {
  OneWorker worker(options_with());
  const AllocationCounter counter;
  worker.step();  // the first one makes room for what the others use
  EXPECT_GT(counter.count(), 0);
}

TEST(StepBudget, AllocatesNothingAfterTheFirstSteps) {
  for (const int threads : {1, 2}) {
    OneWorker worker(options_with([&](auto& options) { options.threads = threads; }));
    for (int step = 0; step < 3; ++step) worker.step();
    const AllocationCounter counter;
    worker.step();
    EXPECT_EQ(counter.count(), 0) << threads << " threads";
  }
}

TEST(StepBudget, AllocatesNothingWithRecomputation) {
  OneWorker worker(options_with([](auto& options) { options.recompute = true; }));
  for (int step = 0; step < 3; ++step) worker.step();
  const AllocationCounter counter;
  worker.step();
  EXPECT_EQ(counter.count(), 0);
}

TEST(StepBudget, AllocatesNothingOnPreferences) {
  const PairCorpus corpus;
  for (const auto kind : {model::ObjectiveKind::kDpo, model::ObjectiveKind::kReward}) {
    const workers::TrainingOptions options = options_with([&](auto& changed) {
      changed.model.objective.kind = kind;
      changed.model.loss.z_loss = 0.0;
      changed.data.sequence_length = 80;  // two pairs
    });
    const data::PairOrder order(corpus.dataset(), options.data.sequence_length, options.seed);
    const std::vector<model::PairScores> reference(static_cast<std::size_t>(order.pair_count()));
    const auto world = std::move(comm::make_inproc_group(1).front());
    const layout::Layout layout(options.batch, 1, 1, static_cast<int>(options.model.moe.experts));
    const SystemClock clock;
    model::Model model(workers::model_setup(options, layout, 0), layout, *world, clock);
    model.initialize();
    workers::Trainer trainer(
        options, model, {corpus.dataset(), order, options.data.sequence_length, options.batch, reference});
    for (int step = 0; step < 3; ++step) trainer.step({});
    const AllocationCounter counter;
    for (int step = 0; step < 3; ++step) trainer.step({});  // of other pairs, up to the next epoch
    EXPECT_EQ(counter.count(), 0) << model::kObjectiveNames[at(kind)];
  }
}

TEST(StepBudget, ExecutesTheProductsOfTheFormulaAndNoOther) {
  OneWorker worker(options_with());
  worker.step();
  const double formula =
      6.0 * elements_used_by_a_token(worker.options()) * static_cast<double>(tokens_of(worker.options()));
  EXPECT_DOUBLE_EQ(worker.product_flop(), formula);
}

TEST(StepBudget, RecomputationAddsOneForwardOfTheBlocks) {
  OneWorker plain(options_with());
  OneWorker again(options_with([](auto& options) { options.recompute = true; }));
  plain.step();
  again.step();
  const auto& options = plain.options();
  const double head = static_cast<double>(options.vocab_size * options.model.hidden_size);
  const double blocks = elements_used_by_a_token(options) - head;
  EXPECT_DOUBLE_EQ(again.product_flop() - plain.product_flop(),
                   2.0 * blocks * static_cast<double>(tokens_of(options)));
}

TEST(StepBudget, AMicrobatchThatIsNotHeldAddsOneForwardOfTheBlocks) {
  OneWorker all(options_with());
  OneWorker one(options_with([](auto& options) { options.hold_microbatches = 1; }));
  all.step();
  one.step();
  const auto& options = all.options();
  const double head = static_cast<double>(options.vocab_size * options.model.hidden_size);
  const double blocks = elements_used_by_a_token(options) - head;
  const double microbatches = options.batch.accumulation_steps * options.batch.grad_lanes;
  EXPECT_DOUBLE_EQ(
      one.product_flop() - all.product_flop(),
      2.0 * blocks * static_cast<double>(tokens_of(options)) * (microbatches - 1) / microbatches);
}

TEST(StepBudget, HoldingOneMicrobatchNeedsTheMemoryOfOne) {
  OneWorker all(options_with());
  OneWorker one(options_with([](auto& options) { options.hold_microbatches = 1; }));
  OneWorker alone(options_with([](auto& options) { options.model.moe.aux_loss.clear(); }));
  for (OneWorker* worker : {&all, &one, &alone}) worker->step();
  const auto peak = [](OneWorker& worker) {
    return static_cast<double>(worker.model().transformer().activation_peak_bytes());
  };
  EXPECT_GT(peak(all), 4.0 * peak(alone));
  EXPECT_LT(peak(one), 2.0 * peak(alone));
}

TEST(StepBudget, RecomputationHalvesActivationMemory) {
  const auto deep = [](auto& options) {
    options.model.layers = 8;
    options.model.moe.aux_loss.clear();  // so that one microbatch is held at a time
  };
  OneWorker plain(options_with(deep));
  OneWorker again(options_with([&](auto& options) {
    deep(options);
    options.recompute = true;
  }));
  plain.step();
  again.step();
  const std::size_t whole = plain.model().transformer().activation_peak_bytes();
  const std::size_t recomputed = again.model().transformer().activation_peak_bytes();
  EXPECT_LE(recomputed * 2, whole);
  EXPECT_GE(recomputed * 8, whole) << "a block of eight is there";
}

/// What two workers on two nodes send each other in one step.
void run_two_workers(const workers::TrainingOptions& options, experts::Traffic& traffic) {
  auto group = comm::make_inproc_group(2);
  const data::BatchOrder order(dataset(), options.data.sequence_length, options.seed);
  const layout::Layout layout(options.batch, 2, 2, static_cast<int>(options.model.moe.experts));
  const SystemClock clock;
  std::vector<std::jthread> threads;
  for (auto& communicator : group) {
    threads.emplace_back([&, inner = std::move(communicator)] {
      experts::CountingCommunicator world(*inner, {0, 1}, traffic);
      model::Model model(workers::model_setup(options, layout, 0), layout, world, clock);
      model.initialize();
      workers::Trainer trainer(options, model, dataset(), order);
      world.barrier();
      if (world.rank() == 0) traffic.messages = traffic.bytes = 0;
      world.barrier();
      trainer.step({});
      world.barrier();
    });
  }
}

TEST(StepBudget, SendsOneMessageOfCountsAndFourOfRowsForEachLayerAndMicrobatch) {
  const workers::TrainingOptions options = options_with();
  experts::Traffic traffic;
  run_two_workers(options, traffic);
  const std::int64_t waves = options.batch.accumulation_steps * options.batch.grad_lanes / 2;
  const std::int64_t moe_layers = model::moe_layers(options.model);
  const std::int64_t dispatch = 2 * waves * moe_layers * 5;
  const std::int64_t weights = 2;  // gathered after the update
  const std::int64_t lanes = traffic.messages - dispatch - weights;
  EXPECT_GE(lanes, 2);  // each worker sends its lanes' slice
  EXPECT_LE(lanes,
            2 * static_cast<std::int64_t>(options.batch.grad_lanes) * 8);  // in pieces that fit the scratch

  const std::int64_t row_bytes = options.model.hidden_size * 4;
  const std::int64_t all_rows = tokens_of(options) * options.model.moe.top_k * moe_layers;
  std::int64_t dense = 0;
  for (const ParameterSpec& spec : model::parameter_specs(options.model, options.vocab_size))
    if (spec.kind == ParameterKind::kDense) dense += spec.elements();
  const std::int64_t gradients = dense * options.batch.grad_lanes * 4 / 2;  // the other worker's slice
  const std::int64_t rows = traffic.bytes - gradients - dense * 4;
  EXPECT_LE(rows, 4 * all_rows * row_bytes * 3 / 4);
  EXPECT_GE(rows, 4 * all_rows * row_bytes / 4) << "about half of the tokens have an expert elsewhere";
}

}  // namespace
}  // namespace troupe::test
