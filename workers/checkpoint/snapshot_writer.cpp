#include "workers/checkpoint/snapshot_writer.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fault_points.h"
#include "base/index.h"
#include "base/log.h"
#include "storage/memory_snapshots.h"
#include "workers/checkpoint/checkpoint.h"
#include "workers/checkpoint/shard_snapshot.h"

namespace troupe::workers {
namespace {

/// Those that have data, as a slot describes only such.
std::vector<storage::TensorShard> filled(std::span<const storage::TensorShard> shards) {
  std::vector<storage::TensorShard> result;
  for (const storage::TensorShard& shard : shards)
    if (!shard.data.empty()) result.push_back(shard);
  return result;
}

storage::TensorRange range_of(const storage::TensorShard& shard) {
  return {.name = shard.name,
          .type = shard.type,
          .global_shape = shard.global_shape,
          .begin = shard.element_begin,
          .count = std::ssize(shard.data) / storage::size_bytes(shard.type),
          .hash = {}};
}

}  // namespace

SnapshotWriter::SnapshotWriter(std::filesystem::path folder, std::int64_t rank)
    : folder_(std::move(folder)),
      rank_(rank),
      slots_{storage::SnapshotSlot(folder_ / storage::slot_name(rank, 0)),
             storage::SnapshotSlot(folder_ / storage::slot_name(rank, 1))} {}

void SnapshotWriter::take(model::Model& model, TrainingState& state) {
  if (!has_room_) return;
  try {
    // All ranks have taken the one before: what the run went on from is not needed any more.
    if (taken_ == 1 && rank_ == 0) storage::remove_earlier_snapshots(folder_);
    write(model, state);
    ++taken_;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kIo) throw;
    log::warn("worker {} takes no more snapshots in memory, and the run goes on without: {}", rank_,
              error.what());
    has_room_ = false;
  }
}

void SnapshotWriter::write(model::Model& model, TrainingState& state) {
  storage::SnapshotSlot& slot = slots_[at(taken_ % 2)];
  with_shards(model, state, [&](std::span<const storage::TensorShard> all) {
    const std::vector<storage::TensorShard> shards = filled(all);
    const std::span<std::byte> memory = slot.begin(bytes_of(shards), shards.size());
    std::vector<storage::TensorRange> ranges(shards.size());
    copy_shards({model.execution().threads}, shards, memory, copies_, [&](std::size_t i) {
      ranges[i] = range_of(shards[i]);
      ranges[i].hash =
          storage::hash_bytes(shards[i].data);  // not of the copy: it is to be found wrong, if it is
    });
    fault_points::reach("snapshot", rank_, state.counters.step);
    slot.finish(rank_, state.counters.step, std::move(ranges));
    fault_points::reach("snapshot_taken", rank_, state.counters.step, memory);
  });
}

}  // namespace troupe::workers
