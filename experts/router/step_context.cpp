#include "experts/router/step_context.h"

namespace troupe::experts {

PairCounts PairCounts::layer(std::int64_t index, std::int64_t layers) const {
  return {.previous = layer_part(previous, index, layers),
          .running = layer_part(running, index, layers),
          .global = layer_part(global, index, layers)};
}

StepContext StepContext::layer(std::int64_t index, std::int64_t layers) const {
  StepContext part = *this;
  part.bias = layer_part(bias, index, layers);
  part.counts = counts.layer(index, layers);
  part.unbiased_counts = unbiased_counts.layer(index, layers);
  part.tape = tape.layer(index, layers);
  return part;
}

}  // namespace troupe::experts
