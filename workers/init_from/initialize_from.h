#pragma once
#include "storage/checkpoint_reader.h"
#include "workers/init_from/weight_origins.h"
#include "workers/step/partition.h"
#include "workers/step/training_state.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// A new run's source of weights: the checkpoint, and the configuration that it was trained with.
struct InitialWeights {
  SourceModel source;  // loads are read from the checkpoint
  InitFromOptions options;
};

/// Experts' loads of a checkpoint's last global batch, [moe layers][experts]; zero before the first.
[[nodiscard]] std::vector<std::vector<std::int64_t>> read_loads(storage::CheckpointReader& reader,
                                                                const model::ModelOptions& model);

/// Gives a state at its initial values the weights of another run, and with the same kind of balancer its
/// state, and its previous counts, all by WeightOrigins. Step, optimizer and data stay at their beginning.
/// The same for every layout. Throws kConfig as WeightOrigins does. On the storage thread.
void initialize_from(storage::CheckpointReader& reader, const InitialWeights& weights,
                     const TrainingOptions& options, const Partition& partition, TrainingState& state);

}  // namespace troupe::workers
