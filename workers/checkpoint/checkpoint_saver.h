#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>

#include "comm/control/messages/messages.h"
#include "workers/agent/run_control.h"
#include "workers/checkpoint/shard_snapshot.h"
#include "workers/checkpoint/storage_thread.h"
#include "workers/step/training_state.h"

namespace troupe::workers {

/// Writes one rank's part of checkpoints, and reports each part once it is on the disk or has failed; a part
/// that failed does not end the run. One part is on its way at a time. Used from the compute thread.
class CheckpointSaver {
 public:
  /// The references must outlive the saver. checkpoints: the run's folder of them
  CheckpointSaver(std::filesystem::path checkpoints, comm::Epoch epoch, StorageThread& storage_thread,
                  RunControl& control);
  ~CheckpointSaver();
  CheckpointSaver(const CheckpointSaver&) = delete;
  CheckpointSaver& operator=(const CheckpointSaver&) = delete;

  /// Takes the memory that save() copies to, so that its first call finds it. At a run's start.
  void prepare(model::Model& model, TrainingState& state);
  /// Returns when the state is copied; the copy is written while training goes on. Waits first for the part
  /// before.
  void save(model::Model& model, TrainingState& state);
  /// Writes the state itself, which needs no memory for a copy. Returns when that is reported.
  void save_and_wait(model::Model& model, TrainingState& state);

 private:
  using Write = std::function<storage::ShardDescription(const std::filesystem::path& folder)>;
  void copy(model::Model& model, TrainingState& state);
  /// The write is reported, on the storage thread, when it is done.
  void start(int rank, const TrainingCounters& counters, Write write);
  /// Until the part on its way is reported. Rethrows what made reporting impossible.
  void wait();

  std::filesystem::path checkpoints_;
  comm::Epoch epoch_;
  StorageThread& storage_thread_;
  RunControl& control_;
  ShardSnapshot snapshot_;
  std::future<void> reported_;  // of the part on its way
};

}  // namespace troupe::workers
