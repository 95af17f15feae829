#include "experts/router/routing_tape.h"

#include <algorithm>

#include "base/error.h"

namespace troupe::experts {
namespace {

void check_size(std::size_t size, const ConstTensorView& chosen) {
  TROUPE_CHECK(static_cast<std::int64_t>(size) == chosen.elements(), "a tape of {} choices for {} slots",
               size, chosen.elements());
}

}  // namespace

RoutingTape RoutingTape::layer(std::int64_t index, std::int64_t layers) const {
  return {.record = layer_part(record, index, layers), .replay = layer_part(replay, index, layers)};
}

void record_choices(ConstTensorView candidates, ConstTensorView chosen, const RoutingTape& tape) {
  if (tape.record.empty()) return;
  check_size(tape.record.size(), chosen);
  for (std::size_t i = 0; i < tape.record.size(); ++i) {
    const std::int32_t candidate = candidates.i32()[i];
    tape.record[i] = chosen.i32()[i] >= 0 || candidate < 0 ? chosen.i32()[i] : -2 - candidate;
  }
}

void replay_choices(const RoutingTape& tape, TensorView candidates, TensorView chosen) {
  check_size(tape.replay.size(), chosen);
  for (std::size_t i = 0; i < tape.replay.size(); ++i) {
    const std::int32_t slot = tape.replay[i];
    candidates.i32()[i] = slot < -1 ? -2 - slot : slot;
    chosen.i32()[i] = std::max(slot, -1);
  }
}

}  // namespace troupe::experts
