// What `troupe describe` says of a worker's memory against what its objects allocate.
#include "workers/training_memory.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>

#include "tests/end_to_end/inproc_training.h"
#include "tests/performance/allocation_counter.h"
#include "workers/checkpoint/checkpoint.h"
#include "workers/checkpoint/shard_snapshot.h"

namespace troupe::test {
namespace {

struct Setting {
  const char* name;
  WorkerLayout layout;
  std::function<void(workers::TrainingOptions&)> change;
};
void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }

workers::TrainingOptions options_of(const Setting& setting, const data::TokenDataset& dataset) {
  workers::TrainingOptions options = tiny_options(dataset);
  options.data.sequence_length = 64;
  options.batch = {.accumulation_steps = 2, .grad_lanes = 2, .expert_lanes = 2, .micro_batch = 6};
  options.model.hidden_size = 64;
  options.model.ffn.intermediate_size = 256;
  options.model.moe.experts = 8;
  options.model.moe.expert_size = 128;
  setting.change(options);
  options.recompute = setting.layout.recompute;
  return options;
}

/// Of all workers together, in a step and while a checkpoint is copied.
std::int64_t measured_bytes(const workers::TrainingOptions& options, const data::TokenDataset& dataset,
                            const WorkerLayout& layout) {
  train_inproc(options, dataset, layout, 1);  // what the process allocates once, for all that follows
  const AllocationCounter counter;
  std::barrier together(layout.workers);
  std::atomic<std::int64_t> bytes = 0;
  train_inproc(options, dataset, layout, 1, [&](workers::Trainer& trainer, const workers::StepResult&) {
    workers::ShardSnapshot copy;
    workers::with_shards(trainer.model(), trainer.state(),
                         [&](std::span<const storage::TensorShard> shards) { copy.take({1}, shards); });
    bytes += static_cast<std::int64_t>(trainer.model().transformer().activation_peak_bytes());
    together.arrive_and_wait();
    if (trainer.model().rank() == 0) bytes += counter.peak();
    together.arrive_and_wait();
  });
  return bytes;
}

class DescribedMemory : public testing::TestWithParam<Setting> {};

TEST_P(DescribedMemory, IsThatOfTheWorkersWithinTwoPercent) {
  const data::TokenDataset dataset = tiny_dataset();
  const workers::TrainingOptions options = options_of(GetParam(), dataset);
  const WorkerLayout& workers = GetParam().layout;
  const layout::Layout layout(options.batch, workers.workers, workers.expert_parallel,
                              static_cast<int>(options.model.moe.experts));
  const auto described = static_cast<double>(
      workers.workers *
      workers::training_memory(options, layout, std::ssize(dataset.header().domain_names)).total());
  const auto measured = static_cast<double>(measured_bytes(options, dataset, workers));
  RecordProperty("described_bytes", std::to_string(described));
  RecordProperty("measured_bytes", std::to_string(measured));
  EXPECT_NEAR(described / measured, 1.0, 0.02) << described << " described, " << measured << " measured";
}

INSTANTIATE_TEST_SUITE_P(
    Configs, DescribedMemory,
    testing::Values(
        Setting{"experts", {}, [](workers::TrainingOptions&) {}},
        Setting{"dense_in_one_accumulation_step",
                {},
                [](workers::TrainingOptions& options) {
                  options.model.moe.first_dense_layers = options.model.layers;
                  options.batch.accumulation_steps = 1;
                }},
        Setting{"recompute",
                {.recompute = true},
                [](workers::TrainingOptions& options) { options.model.layers = 6; }},
        Setting{"two_workers", {.workers = 2, .expert_parallel = 2}, [](workers::TrainingOptions&) {}},
        Setting{"replicas_in_one_accumulation_step",
                {.workers = 2, .expert_parallel = 1},
                [](workers::TrainingOptions& options) { options.batch.accumulation_steps = 1; }}),
    testing::PrintToStringParamName());

}  // namespace
}  // namespace troupe::test
