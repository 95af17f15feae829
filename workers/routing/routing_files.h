#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "workers/training_options.h"

namespace troupe::workers {

/// Which text a run routes: a recording of another text means nothing.
struct RoutingOrigin {
  std::uint64_t seed = 0;
  std::string corpus;  // content hash of the training text
  std::string order;   // data::order_of(): batch_order.h
};

/// What the routing of one step of a run looks like, on every layout.
struct RoutingShape {
  /// corpus: content hash of the training text.
  RoutingShape(const TrainingOptions& options, const std::string& corpus);

  RoutingOrigin origin;
  std::int64_t batch_sequences;      // of the global batch
  std::int64_t sequence_length;      // tokens
  std::int64_t micro_batch;          // sequences that are routed together
  std::int64_t slots;                // experts that a token can have
  std::int64_t choices;              // experts, and zero experts after them
  std::int64_t most_tokens;          // of a microbatch, that one expert can take
  bool leaves_out;                   // a slot may be -2 - id: a candidate that was left out
  std::vector<std::int64_t> layers;  // the model's layers with experts

  [[nodiscard]] std::int64_t sequence_slots() const { return sequence_length * slots; }
  [[nodiscard]] std::int64_t layer_slots() const { return micro_batch * sequence_slots(); }
  [[nodiscard]] std::int64_t microbatch_slots() const { return std::ssize(layers) * layer_slots(); }
};

/// Choices of a worker's microbatches in one step: RoutingTape's numbers.
template <class Slot>
struct StepRouting {
  std::span<const std::int64_t> sequences;  // [microbatches], each one's first within the global batch
  std::span<Slot> slots;                    // [microbatches, layers, micro_batch * sequence_length, slots]
};

/// A recording is a folder with a folder `step-00000012` for every step, and there a file of each worker
/// that took part: `sequences` [sequences of the worker] i64, their numbers within the global batch, and
/// `layers/LL/chosen` [those sequences * length, slots] i32. It does not matter which worker wrote what. A
/// file also says which text it is of, and has `hashes` [layers, sequences] of the choices and one of all
/// else. All of these are for the storage thread.
[[nodiscard]] std::filesystem::path step_folder(const std::filesystem::path& recording, std::int64_t step);

/// The worker's file, whole or not at all: kIo.
void write_routing(const std::filesystem::path& recording, std::int64_t step, std::int64_t worker,
                   const RoutingShape& shape, const StepRouting<const std::int32_t>& routing);

/// Fills `routing`, from whichever files hold its sequences. Errors name the place: kConfig when the step
/// is missing, or was recorded with another seed, corpus, order of the text, batch or router; kCorrupt when
/// sequences of the global batch are missing or there twice, something does not have the hash that was
/// written with it, or the slots of a token hold what no router chooses, an expert twice for example.
void read_routing(const std::filesystem::path& recording, std::int64_t step, const RoutingShape& shape,
                  const StepRouting<std::int32_t>& routing);

}  // namespace troupe::workers
