// A state that one layout saved is the state that any other loads.
#include "workers/checkpoint/checkpoint.h"
#include "tests/scratch_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "storage/checkpoint_store.h"
#include "storage/memory_snapshots.h"
#include "tests/end_to_end/inproc_training.h"
#include "tests/workers/marked_values.h"
#include "workers/checkpoint/shared_loading.h"
#include "workers/checkpoint/snapshot_writer.h"
#include "workers/initial_values.h"

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
    state.counters = {.step = 7, .updates = 6, .next_sequence = 336, .tokens = 10752, .skipped_in_a_row = 1};
    state.recent_losses.restore(std::array{4.5, 4.25, 1e-300});
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
          losses(worker.state.recent_losses.losses().begin(), worker.state.recent_losses.losses().end()),
          counts(worker.state.previous_counts),
          unbiased_counts(worker.state.previous_unbiased_counts) {
      for (const auto& balancer : worker.state.balancers) floats.push_back(copy(balancer->state()));
    }
    static std::vector<float> copy(std::span<const float> values) { return {values.begin(), values.end()}; }
    bool operator==(const Content&) const = default;

    std::vector<std::vector<float>> floats;
    TrainingCounters counters;
    std::vector<double> losses;
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

  /// The same with all workers at once, as a run has them.
  static void for_workers_together(const TrainingOptions& options, int workers, int expert_parallel,
                                   const std::function<void(Worker&, StorageThread&)>& body) {
    const layout::Layout layout(options.batch, workers, expert_parallel,
                                static_cast<int>(options.model.moe.experts));
    StorageThread storage;
    std::vector<std::jthread> threads;
    for (auto& communicator : comm::make_inproc_group(workers)) {
      threads.emplace_back([&, world = std::move(communicator)] {
        Worker worker(options, layout, *world);
        body(worker, storage);
      });
    }
    threads.clear();
  }

  std::filesystem::path newest() { return storage::CheckpointStore(folder_).open_latest().folder(); }

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
  for (const auto& [workers, expert_parallel] : {std::pair{1, 1}, {4, 2}, {5, 5}, {6, 1}}) {
    for_workers_together(options, workers, expert_parallel, [&](Worker& loaded, StorageThread& storage) {
      load_together(newest(), storage, loaded.model, loaded.state);
      EXPECT_EQ(loaded.state.counters.skipped(), 1);
      const Content content(loaded);
      fill(loaded.model, loaded.state);
      EXPECT_TRUE(content == Content(loaded)) << loaded.model.world().size() << " workers";
    });
  }
}

TEST_F(WorkerCheckpoint, AnyLayoutLoadsTheSnapshotThatAnotherTook) {
  const auto options = test::tiny_options(test::tiny_dataset());
  const storage::MemorySnapshots snapshots("test-" + std::to_string(::getpid()));
  const auto memory = snapshots.begin({.identity = "run", .timeline = 0, .epoch = 1, .workers = 3});
  for_workers(options, 3, 3, [&](Worker& worker) {
    SnapshotWriter writer(memory, worker.model.rank());
    writer.take(worker.model, worker.state);  // of nothing
    fill(worker.model, worker.state);
    writer.take(worker.model, worker.state);
  });
  ASSERT_EQ(snapshots.newest("run", 100)->step, 7);
  for (const auto& [workers, expert_parallel] : {std::pair{3, 3}, {1, 1}, {4, 2}, {6, 1}}) {
    for_workers_together(options, workers, expert_parallel, [&](Worker& loaded, StorageThread&) {
      load_snapshot(memory, 7, loaded.model, loaded.state);
      const Content content(loaded);
      fill(loaded.model, loaded.state);
      EXPECT_TRUE(content == Content(loaded)) << loaded.model.world().size() << " workers";
    });
  }
  snapshots.keep_only(std::nullopt);
}

TEST_F(WorkerCheckpoint, IsComparedOnceAndReadOnceHoweverManyWorkersLoadIt) {
  const auto options = test::tiny_options(test::tiny_dataset());
  save(options, 4, 4);
  const storage::Manifest manifest = storage::load_manifest(newest());
  LoadCost all;
  for (const auto& file : manifest.files) all.verified += file.size_bytes;
  for (const auto& tensor : manifest.tensors) all.read += tensor.size_bytes();
  for (const int workers : {1, 2, 4, 8}) {
    std::mutex mutex;
    LoadCost sum;
    LoadCost most;
    for_workers_together(options, workers, workers, [&](Worker& loaded, StorageThread& storage) {
      const LoadCost cost = load_together(newest(), storage, loaded.model, loaded.state);
      const std::scoped_lock lock(mutex);
      sum = {sum.verified + cost.verified, sum.read + cost.read};
      most = {std::max(most.verified, cost.verified), std::max(most.read, cost.read)};
    });
    EXPECT_EQ(sum.verified, all.verified);
    constexpr std::int64_t kOfAll = 4096;  // bias, counts and counters, which every worker has
    EXPECT_GE(sum.read, all.read);
    EXPECT_LE(sum.read, all.read + workers * kOfAll);
    EXPECT_LE(most.read, all.read / workers * 2 + kOfAll) << workers;  // slices end where small parameters do
  }
}

TEST_F(WorkerCheckpoint, WhatOneWorkerFindsDamagedAllRefuse) {
  const auto options = test::tiny_options(test::tiny_dataset());
  save(options, 3, 3);
  const auto file = newest() / storage::shard_file_name(1);
  {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(-100, std::ios::end);
    stream.put('?');
  }
  std::mutex mutex;
  std::vector<std::string> refusals;
  for_workers_together(options, 4, 2, [&](Worker& loaded, StorageThread& storage) {
    try {
      load_together(newest(), storage, loaded.model, loaded.state);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
      const std::scoped_lock lock(mutex);
      refusals.emplace_back(error.what());
    }
  });
  ASSERT_EQ(refusals.size(), 4U);
  for (const std::string& each : refusals) EXPECT_EQ(each, refusals.front());
  EXPECT_NE(refusals.front().find(file.filename().string() + " was changed"), std::string::npos)
      << refusals.front();
}

TEST_F(WorkerCheckpoint, InitialValuesAreTheSameWhoeverComputesThem) {
  const auto options = test::tiny_options(test::tiny_dataset());
  for (const auto& [workers, expert_parallel] : {std::pair{1, 1}, {4, 2}, {5, 5}, {6, 1}}) {
    for_workers_together(options, workers, expert_parallel, [&](Worker& worker, StorageThread&) {
      initialize_together(worker.state.partition, worker.model);
      const Content content(worker);
      worker.model.initialize();
      EXPECT_TRUE(content == Content(worker)) << worker.model.world().size() << " workers";
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
    load_owned(reader, loaded.model, loaded.state);  // of one worker: all
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
      load_owned(reader, worker.model, worker.state);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kConfig);
      EXPECT_NE(std::string(error.what()).find("experts/"), std::string::npos) << error.what();
    }
  });
}

}  // namespace
}  // namespace troupe::workers
