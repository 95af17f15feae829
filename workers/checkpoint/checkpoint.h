#pragma once
#include <filesystem>
#include <functional>
#include <span>

#include "model/model.h"
#include "storage/shard.h"
#include "storage/tensor_reader.h"
#include "workers/checkpoint/state_mirror.h"
#include "workers/step/training_state.h"

namespace troupe::workers {

/// Names of a checkpoint's tensors: a parameter's value has the parameter's name, its moments are
///   optimizer/first_moment/<name>, optimizer/second_moment/<name>
/// and what all workers hold alike is
///   layers/LL/router/balancer           [rows, experts]: the bias; of pid also integral, last error
///   balancer/previous_counts            [moe layers, experts] int64, of the last global batch
///   balancer/previous_unbiased_counts   the same, by selection without bias
///   training/counters                   step, updates, next sequence, tokens
///   training/skipped_in_a_row           [1] int64, where the last step was skipped
///   training/recent_losses              [steps] f64, where loss spikes are looked for

inline constexpr const char* kPreviousCounts = "balancer/previous_counts";
inline constexpr const char* kPreviousUnbiasedCounts = "balancer/previous_unbiased_counts";
/// Of layer number `moe_layer` among those with experts.
[[nodiscard]] std::string balancer_name(const model::ModelOptions& options, std::size_t moe_layer);

/// Calls `body` with what this worker saves: the slices it owns, and on worker 0 what all hold alike.
/// The shards' data are the model and the state themselves, or copies of what is on a device, and gone after
/// the call, which then is the compute thread's.
void with_shards(model::Model& model, TrainingState& state,
                 const std::function<void(std::span<const storage::TensorShard>)>& body);

/// Writes them into this worker's file. On the storage thread.
[[nodiscard]] storage::ShardDescription save_shards(const std::filesystem::path& folder, model::Model& model,
                                                    TrainingState& state);

/// Reads a model's values and bias that any layout wrote, and nothing of what trained them. Throws kConfig,
/// naming the tensor and both shapes, when the checkpoint is of another model. On the storage thread.
void load_model(storage::TensorReader& reader, model::Model& model);

/// Reads what this worker owns of the weights, and of all that training adds to them; the weights that others
/// own are still to be gathered (load_together() does all of it). As load_model().
/// Buffers are read into `mirror`.
void load_owned(storage::TensorReader& reader, const model::Model& model, TrainingState& state,
                StateMirror& mirror);
/// The same, and puts the mirror back: for a thread that does both.
void load_owned(storage::TensorReader& reader, model::Model& model, TrainingState& state);

}  // namespace troupe::workers
