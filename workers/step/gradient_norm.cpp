#include "workers/step/gradient_norm.h"

#include <algorithm>
#include <cmath>

#include "base/index.h"

namespace troupe::workers {

GradientNorm::GradientNorm(const model::Model& model, std::int64_t first_value)
    : model_(model),
      global_(model.specs()),
      sums_(global_),
      first_value_(first_value),
      values_(at(sums_.chunks())) {}

void GradientNorm::fill(const Partition& partition, std::span<const float> dense,
                        std::span<const float> experts, StepExchange& exchange) {
  std::ranges::fill(values_, 0.0);
  const auto add = [&](const ParameterTable& table, Partition::Slice slice, std::span<const float> gradient) {
    sums_.fill(model_.execution(), table, slice.begin, slice.end, gradient, values_);
  };
  add(model_.dense_table(), partition.dense_slice(), dense);
  add(model_.expert_table(), partition.expert_slice(), experts);
  for (std::int64_t i = 0; i < std::ssize(values_); ++i) {
    exchange.set_value(first_value_ + i, values_[at(i)]);
  }
}

double GradientNorm::norm(const StepExchange& exchange) {
  for (std::int64_t i = 0; i < std::ssize(values_); ++i) {
    values_[at(i)] = exchange.value(first_value_ + i);
  }
  return optimizer::ChunkSums::norm(values_);
}

std::vector<std::string> GradientNorm::not_finite() const {
  std::vector<std::string> names;
  std::size_t chunk = 0;
  for (const ParameterSpec& spec : global_.specs()) {
    const auto end = chunk + at((spec.elements() + layout::kChunkElements - 1) / layout::kChunkElements);
    bool finite = true;
    for (; chunk < end; ++chunk) finite = finite && std::isfinite(values_[chunk]);
    if (finite || (!names.empty() && names.back() == spec.name)) continue;
    names.push_back(spec.name);
  }
  return names;
}

}  // namespace troupe::workers
