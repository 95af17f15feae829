#include "model/cost.h"

#include <cmath>

#include "model/declaration.h"

namespace troupe::model {

ParameterCounts count_parameters(const ModelOptions& options, std::int64_t vocab_size) {
  ParameterCounts counts;
  double active = 0.0;
  declare(options, vocab_size).for_each([&](const layers::Declaration& layer) {
    for (const ParameterSpec& spec : layer.parameters()) counts.total += spec.elements();
    active += layer.multiplied();
  });
  counts.active = std::llround(active);
  return counts;
}

double training_flops(const ModelOptions& options, std::int64_t vocab_size, std::int64_t tokens,
                      std::int64_t visible_pairs) {
  double forward = 0.0;
  declare(options, vocab_size).for_each([&](const layers::Declaration& layer) {
    forward += 2.0 * layer.multiplied() * static_cast<double>(tokens) +
               layer.pair_flops() * static_cast<double>(visible_pairs);
  });
  return 3.0 * forward;  // backward: for the input, and for the parameters
}

double training_flops_per_token(const ModelOptions& options, std::int64_t vocab_size,
                                std::int64_t sequence_length) {
  const double pairs = static_cast<double>(sequence_length) * static_cast<double>(sequence_length + 1) / 2.0;
  const auto length = static_cast<double>(sequence_length);
  return training_flops(options, vocab_size, sequence_length, static_cast<std::int64_t>(pairs)) / length;
}

}  // namespace troupe::model
