#pragma once
#include <cstdint>
#include <filesystem>

#include "comm/collectives/communicator.h"
#include "model/model.h"
#include "storage/checkpoint_reader.h"
#include "workers/checkpoint/storage_thread.h"
#include "workers/step/training_state.h"

namespace troupe::workers {

/// Bytes of a checkpoint's files that one worker read.
struct LoadCost {
  std::int64_t verified = 0;  // whole files, to compare them with their hashes
  std::int64_t read = 0;      // elements
};

/// A reader whose files were compared with their hashes, each by one of the workers of `world`. Collective:
/// what one of them finds, all throw, with the same text: kCorrupt, kIo. The files are not read whole again
/// by anyone; what a disk answers differently the second time is not noticed.
[[nodiscard]] storage::CheckpointReader open_together(const std::filesystem::path& checkpoint,
                                                      comm::Communicator& world,
                                                      StorageThread& storage_thread);

/// A run's state as it was saved, whatever layout saved it. Every worker reads what it owns, once, and gets
/// the weights that others own from them: what all workers read together does not grow with their number.
/// Collective over the model's workers; kConfig when it is a checkpoint of another model.
LoadCost load_together(const std::filesystem::path& checkpoint, StorageThread& storage_thread,
                       model::Model& model, TrainingState& state);

/// The same from the slots of a memory snapshot on this machine (storage::MemorySnapshots), whatever layout
/// took it.
void load_snapshot(const std::filesystem::path& folder, std::int64_t step, model::Model& model,
                   TrainingState& state);

}  // namespace troupe::workers
