#include "workers/checkpoint/shared_loading.h"

#include <array>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "comm/collectives/broadcast_text.h"
#include "storage/memory_snapshots.h"
#include "workers/checkpoint/checkpoint.h"

namespace troupe::workers {
namespace {

/// Throws on all workers what the first one of them found.
void throw_together(const std::optional<Error>& found, comm::Communicator& world) {
  std::array<std::int64_t, 1> first{found ? world.size() - world.rank() : 0};
  world.all_reduce_max(first);
  if (first[0] == 0) return;
  const auto root = static_cast<int>(world.size() - first[0]);
  std::array<ErrorCode, 1> code{found ? found->code() : ErrorCode::kInternal};
  world.broadcast(std::as_writable_bytes(std::span(code)), root);
  const std::string text = comm::broadcast_text(world, found ? found->what() : "", root);
  throw Error(code[0], text);
}

/// What every worker read of what it owns, to all.
void share(StateMirror& mirror, model::Model& model, TrainingState& state) {
  gather_owned(state.partition, model, mirror.dense.values(), mirror.experts.values());
  mirror.put_back();
  state.refresh_bias(model);
}

}  // namespace

storage::CheckpointReader open_together(const std::filesystem::path& checkpoint, comm::Communicator& world,
                                        StorageThread& storage_thread) {
  std::optional<storage::CheckpointReader> reader;
  std::optional<Error> found;
  try {
    storage_thread.run([&] {
      reader.emplace(checkpoint, storage::CheckpointReader::Look::kAtNone);
      reader->verify_share(world.rank(), world.size());
    });
  } catch (const Error& error) {
    found = error;
  }
  throw_together(found, world);
  reader->trust_files();
  return std::move(*reader);
}

LoadCost load_together(const std::filesystem::path& checkpoint, StorageThread& storage_thread,
                       model::Model& model, TrainingState& state) {
  storage::CheckpointReader reader = open_together(checkpoint, model.world(), storage_thread);
  LoadCost cost;
  StateMirror mirror(model, state, HostMirror::Content::kZero);
  storage_thread.run([&] {
    storage::CheckpointReader opening = std::move(reader);  // HDF5's files are closed here, whatever happens
    load_owned(opening, model, state, mirror);
    cost = {.verified = opening.bytes_verified(), .read = opening.bytes_read()};
  });
  share(mirror, model, state);
  return cost;
}

void load_snapshot(const std::filesystem::path& folder, std::int64_t step, model::Model& model,
                   TrainingState& state) {
  storage::SnapshotReader reader(folder, step);
  StateMirror mirror(model, state, HostMirror::Content::kZero);
  load_owned(reader, model, state, mirror);
  share(mirror, model, state);
}

}  // namespace troupe::workers
