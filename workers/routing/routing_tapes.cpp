#include "workers/routing/routing_tapes.h"

#include "base/error.h"
#include "base/index.h"
#include "storage/verified_file.h"

namespace troupe::workers {
namespace {

std::vector<std::int32_t> buffer(const std::filesystem::path& folder, std::size_t slots) {
  return std::vector<std::int32_t>(folder.empty() ? 0 : slots);
}

/// A microbatch's part of a buffer, which may be empty.
template <class Slot>
std::span<Slot> microbatch_part(std::span<Slot> all, std::size_t microbatch, std::size_t slots) {
  return all.empty() ? all : all.subspan(microbatch * slots, slots);
}

}  // namespace

RoutingTapes::RoutingTapes(const TrainingOptions& options, const std::string& corpus,
                           const layout::Layout& layout, int worker, const RoutingFolders& folders)
    : folders_(folders), worker_(worker), shape_(options, corpus) {
  if (!folders.record.empty() && !folders.replay.empty() &&
      std::filesystem::weakly_canonical(folders.record) ==
          std::filesystem::weakly_canonical(folders.replay)) {
    throw Error(ErrorCode::kConfig,
                "run.replay_routing: {} is where this run records its own routing: set run.record_routing: "
                "false, or another --run-dir",
                folders.replay.string());
  }
  const auto lanes = layout.lanes_of(worker);
  const auto slots = at(shape_.microbatch_slots());
  const std::size_t all_slots = at(options.batch.accumulation_steps) * lanes.size() * slots;
  recorded_ = buffer(folders.record, all_slots);
  replayed_ = buffer(folders.replay, all_slots);
  for (int accumulation_step = 0; accumulation_step < options.batch.accumulation_steps; ++accumulation_step) {
    for (int wave = 0; wave < layout.waves(); ++wave) {
      const int lane = layout.lane(worker, wave);
      experts::RoutingTape& tape = tapes_.emplace_back();
      if (lane < 0) continue;
      tape = {microbatch_part(std::span(recorded_), sequences_.size(), slots),
              microbatch_part(std::span<const std::int32_t>(replayed_), sequences_.size(), slots)};
      sequences_.push_back(layout.first_sequence(accumulation_step, lane));
    }
  }
}

void RoutingTapes::prepare(std::int64_t step) {
  if (!folders_.record.empty() && worker_ == 0) storage::remove_tree(step_folder(folders_.record, step));
  if (!folders_.replay.empty()) read_routing(folders_.replay, step, shape_, {sequences_, replayed_});
}

void RoutingTapes::keep(std::int64_t step) const {
  if (!folders_.record.empty())
    write_routing(folders_.record, step, worker_, shape_, {sequences_, recorded_});
}

}  // namespace troupe::workers
