// What `troupe describe` says that a step and a resume send, against what they send, and against what large
// jobs can bear.
#include "workers/step_traffic.h"

#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "data/batch_order.h"
#include "tensor/parallel.h"
#include "tests/end_to_end/inproc_training.h"
#include "tests/experts/dispatch/counting_communicator.h"
#include "workers/step/trainer.h"
#include "workers/training_memory.h"

namespace troupe::workers {
namespace {

const data::TokenDataset& dataset() {
  static const data::TokenDataset dataset = test::tiny_dataset();
  return dataset;
}

std::int64_t domains() { return std::ssize(dataset().header().domain_names); }

/// Two small layers, many lanes.
TrainingOptions small_options(int lanes, int accumulation_steps) {
  TrainingOptions options = test::tiny_options(dataset());
  options.batch = {
      .accumulation_steps = accumulation_steps, .grad_lanes = lanes, .expert_lanes = lanes, .micro_batch = 1};
  options.data.sequence_length = 64;
  options.model.layers = 2;
  options.model.hidden_size = 16;
  options.model.ffn.intermediate_size = 16;
  options.model.moe.experts = 64;
  options.model.moe.expert_size = 4;
  options.model.moe.top_k = 4;
  return options;
}

layout::Layout layout_of(const TrainingOptions& options, int workers, int expert_parallel) {
  return {options.batch, workers, expert_parallel, static_cast<int>(options.model.moe.experts)};
}

/// What all workers send in one step.
void measure(const TrainingOptions& options, const layout::Layout& layout, experts::Traffic& traffic) {
  const data::BatchOrder order(dataset(), options.data.sequence_length, options.seed);
  std::vector<int> alone(static_cast<std::size_t>(layout.workers()));  // on a node each: everything counts
  std::iota(alone.begin(), alone.end(), 0);
  std::vector<std::jthread> threads;
  for (auto& communicator : comm::make_inproc_group(layout.workers())) {
    threads.emplace_back([&, inner = std::move(communicator)] {
      use_one_library_thread();
      const SystemClock clock;
      experts::CountingCommunicator world(*inner, alone, traffic);
      model::Model model(model_setup(options, layout, domains()), layout, world, clock);
      model.initialize();
      Trainer trainer(options, model, dataset(), order);
      world.barrier();
      if (world.rank() == 0)
        traffic.messages = traffic.bytes = traffic.reductions = traffic.reduced_bytes = 0;
      world.barrier();
      (void)trainer.step({});
      world.barrier();
    });
  }
}

struct Case {
  const char* name;
  int workers;
  int expert_parallel;
  int lanes;
  int accumulation_steps = 1;
  std::function<void(TrainingOptions&)> change = [](TrainingOptions&) {};
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class DescribedTraffic : public ::testing::TestWithParam<Case> {};

TEST_P(DescribedTraffic, IsWhatAStepSends) {
  const Case& one = GetParam();
  TrainingOptions options = small_options(one.lanes, one.accumulation_steps);
  one.change(options);
  const layout::Layout layout = layout_of(options, one.workers, one.expert_parallel);
  experts::Traffic measured;
  measure(options, layout, measured);

  StepTraffic all;
  for (int worker = 0; worker < one.workers; ++worker) {
    const StepTraffic described = step_traffic(options, layout, domains(), worker);
    all.dispatch += described.dispatch;
    all.gradients += described.gradients;
    all.weights += described.weights;
    all.reductions += described.reductions;
    all.reduced_bytes += described.reduced_bytes;
  }
  EXPECT_EQ(all.sent().messages, measured.messages);
  EXPECT_EQ(all.reductions, measured.reductions);
  EXPECT_EQ(all.reduced_bytes, measured.reduced_bytes);
  const auto others = all.gradients.bytes + all.weights.bytes;
  const auto described = static_cast<double>(all.dispatch.bytes);
  EXPECT_NEAR(described / static_cast<double>(measured.bytes - others), 1.0,
              one.expert_parallel > 1 ? 0.1 : 0.0)
      << "experts are not quite evenly used";
  RecordProperty("messages_described", std::to_string(all.sent().messages));
  RecordProperty("messages_measured", std::to_string(measured.messages));
  RecordProperty("bytes_described", std::to_string(all.sent().bytes));
  RecordProperty("bytes_measured", std::to_string(measured.bytes));
  RecordProperty("reduced_bytes", std::to_string(measured.reduced_bytes / one.workers));
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, DescribedTraffic,
    ::testing::Values(
        Case{"two_workers", 2, 2, 4, 2}, Case{"four_workers", 4, 4, 4},
        Case{"a_worker_without_a_lane_in_the_last_wave", 3, 3, 8, 2}, Case{"replicas", 4, 2, 8},
        Case{"recomputed", 4, 4, 4, 2, [](TrainingOptions& options) { options.recompute = true; }},
        Case{"one_held", 4, 4, 8, 2, [](TrainingOptions& options) { options.hold_microbatches = 1; }},
        Case{"running", 4, 2, 8, 2,
             [](TrainingOptions& options) {
               options.model.moe.aux_loss.front().scope = experts::AuxScope::kRunning;
             }},
        Case{"bf16", 4, 4, 4, 1,
             [](TrainingOptions& options) { options.dispatch.dtype = layout::DispatchType::kBf16; }},
        Case{"hierarchical", 4, 4, 4, 1,
             [](TrainingOptions& options) {
               options.dispatch.hierarchical = true;
               options.dispatch.workers_per_node = 2;
             }},
        Case{"hierarchical_with_a_smaller_node", 5, 5, 5, 2,
             [](TrainingOptions& options) {
               options.model.moe.experts = 65;
               options.dispatch.hierarchical = true;
               options.dispatch.workers_per_node = 3;
             }},
        Case{"sixteen_workers", 16, 16, 16}, Case{"sixty_four_workers", 64, 8, 64}),
    ::testing::PrintToStringParamName());

/// DeepSeek-V3's shape, with a lane for each of `workers` workers, experts on 64 of them.
TrainingOptions large_options(int workers) {
  TrainingOptions options;
  options.vocab_size = 129'280;
  options.data.sequence_length = 4096;
  options.batch = {.accumulation_steps = 1,
                   .grad_lanes = workers,
                   .expert_lanes = std::max(1, workers / 64),
                   .micro_batch = 1};
  model::ModelOptions& model = options.model;
  model.hidden_size = 7168;
  model.layers = 61;
  model.attention.heads = 128;
  model.attention.kv_heads = 16;
  model.attention.head_dim = 128;
  model.ffn.intermediate_size = 18'432;
  model.moe.first_dense_layers = 3;
  model.moe.experts = 256;
  model.moe.shared_experts = 1;
  model.moe.expert_size = 2048;
  model.moe.top_k = 8;
  model.moe.aux_loss = {{.scope = experts::AuxScope::kGlobal, .coefficient = 1e-4}};
  return options;
}

struct LargeJob {
  StepTraffic step;
  ResumeCost resume;
  TrainingMemory memory;
};

LargeJob large_job(int workers) {
  const TrainingOptions options = large_options(workers);
  const layout::Layout layout = layout_of(options, workers, std::min(workers, 64));
  return {step_traffic(options, layout), resume_cost(options, layout), training_memory(options, layout)};
}

TEST(LargeJobs, GrowAsTheyShouldFrom4To4096Workers) {
  constexpr std::int64_t kMessage = 256 << 10;
  const LargeJob few = large_job(64);
  ASSERT_GT(few.resume.checkpoint_bytes, std::int64_t{12} * 600'000'000'000);
  for (const int workers : {4, 16, 64, 256, 1024, 4096}) {
    SCOPED_TRACE(workers);
    const LargeJob job = large_job(workers);
    // Gradients and weights: as many bytes as there are parameters, whoever many share them; large messages.
    const std::int64_t held = job.memory.parameters;
    EXPECT_LE(job.step.gradients.bytes, held);
    EXPECT_LE(job.step.weights.bytes, held);
    EXPECT_LE(job.step.gradients.messages, job.step.gradients.bytes / kMessage + 2 * workers);
    EXPECT_LE(job.step.weights.messages, 2 * workers);
    // Tokens: by the group of experts, not by the job.
    if (workers >= 64) {
      EXPECT_EQ(job.step.dispatch, few.step.dispatch);
    }
    // Integers: of the model's layers and experts, and two words for a worker.
    EXPECT_LE(job.step.reduced_bytes, 1'500'000 + 16 * workers);
    EXPECT_LE(job.step.reductions, 2);
    // What one worker reads at a resume is its share; all together read the checkpoint twice.
    const std::int64_t share = job.resume.checkpoint_bytes / workers;
    EXPECT_LE(job.resume.read_bytes, share + share / 8);
    EXPECT_LE(job.resume.verified_bytes, share + share / 8);
    // Memory for what travels: two messages for each other worker and lane, and no more than the gradients.
    EXPECT_LE(job.memory.reduction,
              job.memory.optimizer_state / 2 +
                  std::max<std::int64_t>(4 << 20, std::int64_t{2} * workers * kMessage));
    EXPECT_LE(job.memory.reduction, job.memory.gradient_lanes);
    if (workers > 64) {
      EXPECT_LE(job.memory.total(), few.memory.total());
    }
  }
}

}  // namespace
}  // namespace troupe::workers
