#include "workers/step/migration.h"

#include <algorithm>
#include <array>

#include "base/index.h"
#include "model/parameters.h"

namespace troupe::workers {
namespace {

enum Buffer : std::size_t { kValues, kFirstMoment, kSecondMoment };
using Buffers = std::array<std::span<float>, 3>;

/// Floats of one expert that go from one worker's buffer to another's.
struct Stretch {
  Buffer buffer;
  int source;
  int destination;
  std::int64_t from;  // offset in the source's buffer
  std::int64_t to;    // offset in the destination's
  std::int64_t length;
};

/// Where every position keeps its experts, in one layout.
struct Tables {
  Tables(const std::vector<ParameterSpec>& all, const model::ModelOptions& options,
         const layout::Layout& layout)
      : placement(layout.placements(at(model::moe_layers(options)))) {
    for (int position = 0; position < layout.expert_parallel(); ++position) {
      of_position.emplace_back(model::expert_specs(all, placement, position));
      slices.push_back(slices_of(of_position.back(), layout.replicas()));
    }
  }

  layout::Placement placement;
  std::vector<ParameterTable> of_position;
  std::vector<std::vector<std::int64_t>> slices;  // [positions][replicas + 1]
};

// Rank of the slice that holds an offset; the offset lies inside the buffer.
int slice_at(const std::vector<std::int64_t>& slices, std::int64_t offset) {
  return static_cast<int>(std::ranges::upper_bound(slices, offset) - slices.begin()) - 1;
}

/// Lists every stretch of every expert, in the same order on all workers.
class Route {
 public:
  Route(const layout::Layout& layout, const Tables& from, const Tables& to)
      : layout_(layout), from_(from), to_(to) {
    for (int position = 0; position < layout.expert_parallel(); ++position) add_position(position);
  }

  [[nodiscard]] const std::vector<Stretch>& stretches() const { return stretches_; }

 private:
  /// One expert's parameter: where it is and where it goes.
  struct Passage {
    int from_position;
    int to_position;
    std::int64_t from;
    std::int64_t to;
    std::int64_t length;
  };

  void add_position(int position) {
    const ParameterTable& table = to_.of_position[at(position)];
    for (std::size_t i = 0; i < table.specs().size(); ++i) {
      const ParameterSpec& spec = table.specs()[i];
      const int old = from_.placement[at(spec.moe_layer)].position(static_cast<int>(spec.expert));
      const ParameterTable& old_table = from_.of_position[at(old)];
      const Passage passage{old, position, old_table.offset(old_table.find(spec.name, spec.expert)),
                            table.offset(i), spec.elements()};
      add_values(passage);
      add_moments(passage);
    }
  }

  void add_values(const Passage& passage) {
    for (int group = 0; group < layout_.replicas(); ++group) {
      stretches_.push_back({kValues, layout_.worker(group, passage.from_position),
                            layout_.worker(group, passage.to_position), passage.from, passage.to,
                            passage.length});
    }
  }

  void add_moments(const Passage& passage) {
    const auto& old_slices = from_.slices[at(passage.from_position)];
    const auto& new_slices = to_.slices[at(passage.to_position)];
    std::int64_t done = 0;
    while (done < passage.length) {
      const std::int64_t from = passage.from + done;
      const std::int64_t to = passage.to + done;
      const int old_replica = slice_at(old_slices, from);
      const int new_replica = slice_at(new_slices, to);
      const auto old_index = at(old_replica);
      const auto new_index = at(new_replica);
      const std::int64_t length =
          std::min({passage.length - done, old_slices[old_index + 1] - from, new_slices[new_index + 1] - to});
      for (const Buffer moment : {kFirstMoment, kSecondMoment}) {
        stretches_.push_back({moment, layout_.worker(old_replica, passage.from_position),
                              layout_.worker(new_replica, passage.to_position), from - old_slices[old_index],
                              to - new_slices[new_index], length});
      }
      done += length;
    }
  }

  const layout::Layout& layout_;
  const Tables& from_;
  const Tables& to_;
  std::vector<Stretch> stretches_;
};

/// One side of the exchange: the floats that travel, peer by peer.
struct Parcels {
  std::vector<Stretch> stretches;   // ordered by peer
  std::vector<std::int64_t> bytes;  // [workers]
  std::vector<float> floats;
};

Parcels make_parcels(const std::vector<Stretch>& all, int workers, int me, int Stretch::*mine,
                     int Stretch::*peer) {
  Parcels parcels{.stretches = {}, .bytes = std::vector<std::int64_t>(at(workers)), .floats = {}};
  std::int64_t floats = 0;
  for (const Stretch& stretch : all) {
    if (stretch.*mine != me || stretch.*peer == me) continue;
    parcels.stretches.push_back(stretch);
    parcels.bytes[at(stretch.*peer)] += stretch.length * static_cast<std::int64_t>(sizeof(float));
    floats += stretch.length;
  }
  std::ranges::stable_sort(parcels.stretches, {}, peer);
  parcels.floats.resize(at(floats));
  return parcels;
}

void exchange(comm::Communicator& world, const std::vector<Stretch>& all, const Buffers& from,
              const Buffers& to) {
  Parcels out = make_parcels(all, world.size(), world.rank(), &Stretch::source, &Stretch::destination);
  Parcels in = make_parcels(all, world.size(), world.rank(), &Stretch::destination, &Stretch::source);
  auto next = out.floats.begin();
  for (const Stretch& s : out.stretches) {
    next = std::ranges::copy(part(from[s.buffer], s.from, s.length), next).out;
  }
  world.all_to_all_v({std::as_bytes(std::span(out.floats)), out.bytes},
                     {std::as_writable_bytes(std::span(in.floats)), in.bytes});
  std::int64_t at = 0;
  for (const Stretch& s : in.stretches) {
    std::ranges::copy(part(in.floats, at, s.length), part(to[s.buffer], s.to, s.length).begin());
    at += s.length;
  }
}

void copy_what_stays(const std::vector<Stretch>& all, int me, const Buffers& from, const Buffers& to) {
  for (const Stretch& s : all) {
    if (s.source != me || s.destination != me) continue;
    std::ranges::copy(part(from[s.buffer], s.from, s.length), part(to[s.buffer], s.to, s.length).begin());
  }
}

std::int64_t bytes_between_workers(const std::vector<Stretch>& all) {
  std::int64_t bytes = 0;
  for (const Stretch& stretch : all) {
    if (stretch.source != stretch.destination)
      bytes += stretch.length * static_cast<std::int64_t>(sizeof(float));
  }
  return bytes;
}

}  // namespace

std::int64_t migrate_experts(const TrainingOptions& options, const layout::Layout& to, model::Model& model,
                             TrainingState& state) {
  const Tables before(model.specs(), model.options(), model.layout());
  const Tables after(model.specs(), model.options(), to);
  const Route route(to, before, after);
  ParameterTable moved = model::local_experts(model.specs(), model.options(), to, model.rank());
  TROUPE_CHECK(moved.buffer_elements() == model.expert_table().buffer_elements() &&
                   slices_of(moved, to.replicas()) == state.partition.expert_slices,
               "a placement that changes the size of worker {}'s experts", model.rank());
  Tensor values({moved.buffer_elements()});
  const Partition::Slice slice = state.partition.expert_slice();
  optimizer::ShardedAdamW adamw(options.optimizer, moved, slice.begin, slice.end);
  const Buffers old{model.expert_values(), state.expert_adamw.first_moment(),
                    state.expert_adamw.second_moment()};
  const Buffers fresh{values.floats(), adamw.first_moment(), adamw.second_moment()};
  copy_what_stays(route.stretches(), model.rank(), old, fresh);
  exchange(model.world(), route.stretches(), old, fresh);
  state.expert_adamw = std::move(adamw);
  model.place(to, std::move(moved), std::move(values));
  return bytes_between_workers(route.stretches());
}

}  // namespace troupe::workers
