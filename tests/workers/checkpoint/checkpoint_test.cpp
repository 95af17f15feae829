// A state that one layout saved is the state that any other loads.
#include "workers/checkpoint/checkpoint.h"
#include "tests/scratch_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "storage/checkpoint_store.h"
#include "tests/end_to_end/inproc_training.h"
#include "tests/workers/marked_values.h"

namespace troupe::workers {
namespace {

class WorkerCheckpoint : public ::testing::Test {
 protected:
  static void fill(model::Model& model, TrainingState& state) {
    const Partition& partition = state.partition;
    const auto mark = [](const ParameterTable& table, Partition::Slice slice, std::span<float> values,
                         std::uint32_t kind) {
      for_each_stretch(
          table, slice,
          [&](const ParameterSpec& spec, std::int64_t element, std::int64_t at, std::int64_t length) {
            for (std::int64_t i = 0; i < length; ++i)
              values[static_cast<std::size_t>(at - slice.begin + i)] = marked_value(spec, element + i, kind);
          });
    };
    const auto all = [&](const ParameterTable& table, Partition::Slice slice, std::span<float> values,
                         optimizer::ShardedAdamW& adamw) {
      mark(table, {0, table.buffer_elements()}, values, 0);
      mark(table, slice, adamw.first_moment(), 1);
      mark(table, slice, adamw.second_moment(), 2);
    };
    all(model.dense_table(), partition.dense_slice(), model.dense_values(), state.dense_adamw);
    all(model.expert_table(), partition.expert_slice(), model.expert_values(), state.expert_adamw);
    state.counters = {.step = 7, .updates = 6, .next_sequence = 336, .tokens = 10752};
    for (std::size_t i = 0; i < state.previous_counts.all().size(); ++i) {
      state.previous_counts.all()[i] = static_cast<std::int64_t>(3 * i);
      state.previous_unbiased_counts.all()[i] = static_cast<std::int64_t>(5 * i);
    }
    float next = 0.0F;
    for (auto& balancer : state.balancers) {
      std::vector<float> remembered(balancer->state().size());
      for (float& value : remembered) value = next += 0.01F;
      balancer->restore(remembered);
    }
    state.refresh_bias(model);
  }

  struct Worker {
    Worker(const TrainingOptions& options, const layout::Layout& layout, comm::Communicator& world)
        : model(model_setup(options, layout, 0), layout, world, clock), state(options, model) {}
    SystemClock clock;
    model::Model model;
    TrainingState state;
  };

  /// A copy of all that a checkpoint keeps of a worker.
  struct Content {
    explicit Content(Worker& worker)
        : floats{copy(worker.model.dense_values()),
                 copy(worker.model.expert_values()),
                 copy(worker.state.dense_adamw.first_moment()),
                 copy(worker.state.dense_adamw.second_moment()),
                 copy(worker.state.expert_adamw.first_moment()),
                 copy(worker.state.expert_adamw.second_moment()),
                 copy(worker.model.bias())},
          counters(worker.state.counters),
          counts(worker.state.previous_counts),
          unbiased_counts(worker.state.previous_unbiased_counts) {
      for (const auto& balancer : worker.state.balancers) floats.push_back(copy(balancer->state()));
    }
    static std::vector<float> copy(std::span<const float> values) { return {values.begin(), values.end()}; }
    bool operator==(const Content&) const = default;

    std::vector<std::vector<float>> floats;
    TrainingCounters counters;
    layout::LoadCounts counts;
    layout::LoadCounts unbiased_counts;
  };

  /// Calls body(worker) for every worker of a layout, one after another: the storage library takes no more.
  static void for_workers(const TrainingOptions& options, int workers, int expert_parallel,
                          const std::function<void(Worker&)>& body) {
    const layout::Layout layout(options.batch, workers, expert_parallel,
                                static_cast<int>(options.model.moe.experts));
    std::mutex mutex;
    std::vector<std::jthread> threads;
    for (auto& communicator : comm::make_inproc_group(workers)) {
      threads.emplace_back([&, world = std::move(communicator)] {
        Worker worker(options, layout, *world);
        const std::scoped_lock lock(mutex);
        body(worker);
      });
    }
  }

  void save(const TrainingOptions& options, int workers, int expert_parallel) {
    storage::CheckpointStore store(folder_);
    std::map<int, storage::ShardDescription> shards;
    for_workers(options, workers, expert_parallel, [&](Worker& worker) {
      fill(worker.model, worker.state);
      shards[worker.model.rank()] = save_shards(store.temporary_folder(7, 1), worker.model, worker.state);
    });
    storage::CheckpointMetadata metadata;
    metadata.step = 7;
    metadata.epoch = 1;
    std::vector<storage::ShardDescription> all;
    for (const auto& [rank, shard] : shards) all.push_back(shard);
    store.commit(metadata, all);
  }

  test::ScratchFolder folder_;
};

TEST_F(WorkerCheckpoint, AnyLayoutLoadsWhatAnotherSaved) {
  const auto dataset = test::tiny_dataset();
  const auto options = test::tiny_options(dataset);
  save(options, 3, 3);
  for (const auto& [workers, expert_parallel] : {std::pair{1, 1}, {4, 2}, {5, 5}}) {
    for_workers(options, workers, expert_parallel, [&](Worker& loaded) {
      auto reader = storage::CheckpointStore(folder_).open_latest();
      load_state(reader, loaded.model, loaded.state);
      EXPECT_EQ(loaded.state.counters.skipped(), 1);
      const Content content(loaded);
      fill(loaded.model, loaded.state);
      EXPECT_TRUE(content == Content(loaded)) << workers << " workers";
    });
  }
}

TEST_F(WorkerCheckpoint, AModelLoadsWithoutWhatTrainedIt) {
  const auto dataset = test::tiny_dataset();
  const auto options = test::tiny_options(dataset);
  save(options, 2, 2);
  for_workers(options, 1, 1, [&](Worker& loaded) {
    auto reader = storage::CheckpointStore(folder_).open_latest();
    load_model(reader, loaded.model);
    EXPECT_EQ(loaded.state.counters, TrainingCounters());
    const std::vector<float> dense(loaded.model.dense_values().begin(), loaded.model.dense_values().end());
    const std::vector<float> bias(loaded.model.bias().begin(), loaded.model.bias().end());
    fill(loaded.model, loaded.state);
    EXPECT_TRUE(std::ranges::equal(dense, loaded.model.dense_values()));
    EXPECT_TRUE(std::ranges::equal(bias, loaded.model.bias()));
  });
}

TEST_F(WorkerCheckpoint, KeepsAllThatABalancerRemembers) {
  const auto dataset = test::tiny_dataset();
  auto options = test::tiny_options(dataset);
  options.model.moe.balancer.kind = experts::BalancerKind::kPid;
  save(options, 1, 1);
  for_workers(options, 1, 1, [&](Worker& loaded) {
    auto reader = storage::CheckpointStore(folder_).open_latest();
    load_state(reader, loaded.model, loaded.state);
    const experts::Balancer& balancer = *loaded.state.balancers.front();
    EXPECT_GT(balancer.state().size(), balancer.bias().size());
    const Content content(loaded);
    fill(loaded.model, loaded.state);
    EXPECT_TRUE(content == Content(loaded));
  });
}

TEST_F(WorkerCheckpoint, AnotherModelIsRefusedByName) {
  const auto dataset = test::tiny_dataset();
  auto options = test::tiny_options(dataset);
  save(options, 1, 1);
  options.model.moe.expert_size = 32;
  for_workers(options, 1, 1, [&](Worker& worker) {
    auto reader = storage::CheckpointStore(folder_).open_latest();
    try {
      load_state(reader, worker.model, worker.state);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kConfig);
      EXPECT_NE(std::string(error.what()).find("experts/"), std::string::npos) << error.what();
    }
  });
}

}  // namespace
}  // namespace troupe::workers
