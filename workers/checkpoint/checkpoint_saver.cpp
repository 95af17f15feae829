#include "workers/checkpoint/checkpoint_saver.h"

#include <string>
#include <utility>

#include "base/error.h"
#include "base/fault_points.h"
#include "base/log.h"
#include "storage/checkpoint_store.h"
#include "workers/checkpoint/checkpoint.h"

namespace troupe::workers {

CheckpointSaver::CheckpointSaver(std::filesystem::path checkpoints, comm::Epoch epoch,
                                 StorageThread& storage_thread, RunControl& control)
    : checkpoints_(std::move(checkpoints)),
      epoch_(epoch),
      storage_thread_(storage_thread),
      control_(control) {}

CheckpointSaver::~CheckpointSaver() {
  if (reported_.valid()) reported_.wait();  // it reads our copy
}

void CheckpointSaver::prepare(model::Model& model, TrainingState& state) {
  copy(model, state);  // touches every page
}

void CheckpointSaver::save(model::Model& model, TrainingState& state) {
  wait();
  copy(model, state);
  start(state.partition.worker, state.counters,
        [this, worker = state.partition.worker,
         step = state.counters.step](const std::filesystem::path& folder) {
          return storage::write_shard_file(folder, worker, snapshot_.shards(), [worker, step] {
            fault_points::reach("shard_synced", worker, step);
          });
        });
  fault_points::reach("copied", state.partition.worker, state.counters.step);
}

void CheckpointSaver::save_and_wait(model::Model& model, TrainingState& state) {
  if (model.accelerator() != nullptr) {  // which is the compute thread's alone
    save(model, state);
    return wait();
  }
  wait();
  start(state.partition.worker, state.counters,
        [&](const std::filesystem::path& folder) { return save_shards(folder, model, state); });
  wait();
}

void CheckpointSaver::copy(model::Model& model, TrainingState& state) {
  with_shards(model, state, [&](std::span<const storage::TensorShard> shards) {
    snapshot_.take({model.execution().threads}, shards);
  });
}

void CheckpointSaver::wait() {
  if (reported_.valid()) reported_.get();
}

void CheckpointSaver::start(int rank, const TrainingCounters& counters, Write write) {
  comm::ShardWritten message{.rank = rank,
                             .step = counters.step,
                             .folder = storage::CheckpointStore::temporary_name(counters.step, epoch_),
                             .description = {},
                             .error = {},
                             .updates = counters.updates,
                             .tokens_total = counters.tokens,
                             .data_cursor = counters.next_sequence};
  reported_ = storage_thread_.start([this, message = std::move(message), write = std::move(write)]() mutable {
    try {
      fault_points::reach("shard", message.rank, message.step);
      message.description = storage::to_json(write(checkpoints_ / message.folder));
      fault_points::reach("shard_written", message.rank, message.step);
    } catch (const Error& error) {  // the run goes on without it; the coordinator tells the user
      log::error("saving step {} failed: {}", message.step, error.what());
      message.error = error.what();
    }
    control_.report(std::move(message));
  });
}

}  // namespace troupe::workers
