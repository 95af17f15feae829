// A state that one layout saved is the state that any other loads.
#include "workers/checkpoint/checkpoint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "storage/checkpoint_store.h"
#include "tests/end_to_end/inproc_training.h"

namespace troupe::workers {
namespace {

class WorkerCheckpoint : public ::testing::Test {
 protected:
  WorkerCheckpoint()
      : folder_(std::filesystem::path(::testing::TempDir()) /
                ("worker_checkpoint_" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(folder_);
  }
  ~WorkerCheckpoint() override { std::filesystem::remove_all(folder_); }

  // Values that tell every element of every tensor apart.
  static void fill(const Partition& partition, TrainingState& state) {
    const auto mark = [](const ParameterTable& table, Partition::Slice slice, std::span<float> values,
                         std::int64_t origin, float kind) {
      for_each_stretch(
          table, slice,
          [&](const ParameterSpec& spec, std::int64_t element, std::int64_t at, std::int64_t length) {
            for (std::int64_t i = 0; i < length; ++i) {
              values[static_cast<std::size_t>(at - origin + i)] =
                  kind + static_cast<float>(spec.name.size() % 7) + 1e-4F * static_cast<float>(element + i);
            }
          });
    };
    const auto both = [&](const ParameterTable& table, Partition::Slice slice, std::span<float> values,
                          optimizer::ShardedAdamW& adamw) {
      mark(table, {0, table.buffer_elements()}, values, 0, 10.0F);
      mark(table, slice, adamw.first_moment(), slice.begin, 20.0F);
      mark(table, slice, adamw.second_moment(), slice.begin, 30.0F);
    };
    both(partition.dense, partition.dense_slice(), state.dense_values, state.dense_adamw);
    both(partition.experts, partition.expert_slice(), state.expert_values, state.expert_adamw);
    state.counters = {.step = 7, .updates = 6, .next_sequence = 336, .tokens = 10752};
    for (std::size_t i = 0; i < state.previous_counts.all().size(); ++i) {
      state.previous_counts.all()[i] = static_cast<std::int64_t>(3 * i);
      state.previous_unbiased_counts.all()[i] = static_cast<std::int64_t>(5 * i);
    }
    for (auto& balancer : state.balancers) {
      std::vector<float> bias(balancer->state().size());
      for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = 0.01F * static_cast<float>(i);
      balancer->restore(bias);
    }
    state.refresh_bias();
  }

  void save(const TrainingOptions& options, int workers, int expert_parallel) {
    storage::CheckpointStore store(folder_);
    std::vector<storage::ShardDescription> shards;
    const auto layout = make_layout(options, workers, expert_parallel);
    for (int worker = 0; worker < workers; ++worker) {
      const Partition partition(options.model, options.vocab_size, layout, worker);
      TrainingState state(options, partition);
      fill(partition, state);
      shards.push_back(save_shards(store.temporary_folder(7, 1), options, partition, state));
    }
    storage::CheckpointMetadata metadata;
    metadata.step = 7;
    metadata.epoch = 1;
    store.commit(metadata, shards);
  }

  static layout::Layout make_layout(const TrainingOptions& options, int workers, int expert_parallel) {
    return {options.batch, workers, expert_parallel, static_cast<int>(options.model.moe.experts)};
  }

  std::filesystem::path folder_;
};

TEST_F(WorkerCheckpoint, AnyLayoutLoadsWhatAnotherSaved) {
  const auto dataset = test::tiny_dataset();
  const auto options = test::tiny_options(dataset);
  save(options, 3, 3);
  for (const auto& [workers, expert_parallel] : {std::pair{1, 1}, {4, 2}, {5, 5}}) {
    const auto layout = make_layout(options, workers, expert_parallel);
    for (int worker = 0; worker < workers; ++worker) {
      const Partition partition(options.model, options.vocab_size, layout, worker);
      TrainingState expected(options, partition);
      fill(partition, expected);
      TrainingState loaded(options, partition);
      auto reader = storage::CheckpointStore(folder_).open_latest();
      load_state(reader, options, partition, loaded);
      EXPECT_EQ(loaded.dense_values, expected.dense_values);
      EXPECT_EQ(loaded.expert_values, expected.expert_values);
      EXPECT_TRUE(std::ranges::equal(loaded.dense_adamw.first_moment(), expected.dense_adamw.first_moment()));
      EXPECT_TRUE(
          std::ranges::equal(loaded.expert_adamw.second_moment(), expected.expert_adamw.second_moment()));
      EXPECT_EQ(loaded.counters, expected.counters);
      EXPECT_EQ(loaded.previous_counts, expected.previous_counts);
      EXPECT_EQ(loaded.previous_unbiased_counts, expected.previous_unbiased_counts);
      EXPECT_TRUE(std::ranges::equal(loaded.bias(), expected.bias()));
    }
  }
}

TEST_F(WorkerCheckpoint, KeepsAllThatABalancerRemembers) {
  const auto dataset = test::tiny_dataset();
  auto options = test::tiny_options(dataset);
  options.model.moe.balancer.kind = experts::BalancerKind::kPid;
  save(options, 1, 1);
  const Partition partition(options.model, options.vocab_size, make_layout(options, 1, 1), 0);
  TrainingState expected(options, partition);
  fill(partition, expected);
  TrainingState loaded(options, partition);
  auto reader = storage::CheckpointStore(folder_).open_latest();
  load_state(reader, options, partition, loaded);
  for (std::size_t layer = 0; layer < expected.balancers.size(); ++layer) {
    const experts::Balancer& balancer = *expected.balancers[layer];
    EXPECT_GT(balancer.state().size(), balancer.bias().size());
    EXPECT_TRUE(std::ranges::equal(loaded.balancers[layer]->state(), balancer.state()));
  }
}

TEST_F(WorkerCheckpoint, AnotherModelIsRefusedByName) {
  const auto dataset = test::tiny_dataset();
  auto options = test::tiny_options(dataset);
  save(options, 1, 1);
  options.model.moe.expert_size = 32;
  const Partition partition(options.model, options.vocab_size, make_layout(options, 1, 1), 0);
  TrainingState state(options, partition);
  auto reader = storage::CheckpointStore(folder_).open_latest();
  try {
    load_state(reader, options, partition, state);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfig);
    EXPECT_NE(std::string(error.what()).find("experts/"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace troupe::workers
