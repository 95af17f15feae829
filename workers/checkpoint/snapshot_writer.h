#pragma once
#include <array>
#include <cstdint>
#include <filesystem>

#include "model/model.h"
#include "storage/snapshot_slot.h"
#include "workers/step/training_state.h"

namespace troupe::workers {

/// Takes memory snapshots of one rank's part of the state, into two slots of shared memory in turn: while one
/// is written, the other holds the snapshot before it, and all ranks' others hold the same, since none gets
/// to the next snapshot before all have taken this one. Used from the compute thread.
class SnapshotWriter {
 public:
  /// folder: of this start of workers, made by the coordinator
  SnapshotWriter(std::filesystem::path folder, std::int64_t rank);

  /// Returns when the slot holds it. Where there is no room, that is warned of, and no more are taken: the
  /// run goes on.
  void take(model::Model& model, TrainingState& state);

 private:
  void write(model::Model& model, TrainingState& state);

  std::filesystem::path folder_;
  std::int64_t rank_;
  std::array<storage::SnapshotSlot, 2> slots_;
  std::vector<storage::TensorShard> copies_;
  std::int64_t taken_ = 0;
  bool has_room_ = true;
};

}  // namespace troupe::workers
