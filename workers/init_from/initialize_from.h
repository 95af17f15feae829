#pragma once
#include "model/model.h"
#include "storage/checkpoint_reader.h"
#include "workers/checkpoint/storage_thread.h"
#include "workers/init_from/weight_origins.h"
#include "workers/step/training_state.h"

namespace troupe::workers {

/// A new run's source of weights: the checkpoint, and the configuration that it was trained with.
struct InitialWeights {
  SourceModel source;  // loads are read from the checkpoint
  InitFromOptions options;
};

/// Experts' loads of a checkpoint's last global batch, [moe layers][experts]; zero before the first.
[[nodiscard]] std::vector<std::vector<std::int64_t>> read_loads(storage::CheckpointReader& reader,
                                                                const model::ModelOptions& model);

/// Gives a model the weights of another run, initial values where it has none, and with the same kind of
/// balancer its state, and its previous counts, all by WeightOrigins. Step, optimizer and data stay at their
/// beginning. The same for every layout. Each worker reads and computes some whole parameters of those that
/// it holds, and gets the others'. Collective; throws kConfig as WeightOrigins does, kCorrupt and kIo as
/// open_together().
void initialize_from(const InitialWeights& weights, StorageThread& storage_thread, model::Model& model,
                     TrainingState& state);

}  // namespace troupe::workers
