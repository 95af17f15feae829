#include "workers/step/held_microbatches.h"

#include <algorithm>
#include <array>

#include "base/index.h"
#include "model/activation_memory.h"
#include "workers/memory.h"
#include "workers/step/batch_counts.h"

namespace troupe::workers {
namespace {

/// Of this worker, when all of a machine's workers take the same.
std::int64_t half_of_available_bytes(comm::Communicator& world) {
  const std::vector<int> hosts = world.hosts();
  const auto here = std::ranges::count(hosts, hosts[at(world.rank())]);
  return available_bytes() / 2 / here;
}

/// What one microbatch more takes, whatever the routing: devices have no memory that is only reserved.
std::int64_t most_held_bytes(const TrainingOptions& options, const layout::Layout& layout,
                             const model::TransformerShape& shape) {
  const auto bytes = [&](std::int64_t held) {
    model::TransformerShape holding = shape;
    holding.held = held;
    const std::int64_t local = std::ssize(layout.placement(0).experts_at(0));
    return model::activation_bytes_bound(options.model, holding,
                                         {layout.expert_parallel(), local, options.dispatch});
  };
  return bytes(2) - bytes(1);
}

std::int64_t least(std::int64_t value, comm::Communicator& world) {
  std::array<std::int64_t, 1> most{-value};
  world.all_reduce_max(most);
  return -most[0];
}

}  // namespace

std::int64_t microbatches_that_fit(std::int64_t together, std::int64_t one, std::int64_t bytes) {
  return std::clamp<std::int64_t>(bytes / std::max<std::int64_t>(one, 1), 1, together);
}

std::int64_t held_microbatches(const TrainingOptions& options, const layout::Layout& layout,
                               comm::Communicator& world, Accelerator* accelerator) {
  const std::int64_t together = microbatches_together(options.model, layout);
  if (options.hold_microbatches > 0) return std::min(together, options.hold_microbatches);
  if (together == 1) return 1;
  const model::TransformerShape shape = model_setup(options, layout, 0).shape;
  if (accelerator == nullptr) {
    const std::int64_t one = model::held_activation_bytes(options.model, shape);
    return least(microbatches_that_fit(together, one, half_of_available_bytes(world)), world);
  }
  const std::int64_t one = most_held_bytes(options, layout, shape);
  return least(microbatches_that_fit(together, one, accelerator->free_bytes() / 2), world);
}

}  // namespace troupe::workers
