#include "workers/step/gradient_norm.h"

#include <algorithm>
#include <cmath>

#include "base/index.h"

namespace troupe::workers {
namespace {

std::vector<std::string> sorted_names(const std::vector<ParameterSpec>& specs) {
  std::vector<std::string> names;
  for (const ParameterSpec& spec : specs) names.push_back(spec.name);
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);  // an expert's is that of all
  names.erase(repeated.begin(), repeated.end());
  return names;
}

}  // namespace

GradientNorm::GradientNorm(const model::Model& model, const Partition& partition, std::int64_t sum)
    : model_(model),
      sum_(sum),
      names_(sorted_names(model.specs())),
      not_finite_(names_.size()),
      dense_(make_part(model.dense_table(), partition.dense_slice())),
      experts_(make_part(model.expert_table(), partition.expert_slice())) {}

/// Experts that move later leave the places and names of the chunks as they are.
GradientNorm::Part GradientNorm::make_part(const ParameterTable& table, Partition::Slice slice) const {
  Part part{.sums = {table, slice.begin, slice.end, model_.accelerator()}, .name_of_chunk = {}};
  for (std::size_t chunk = 0; chunk < part.sums.chunks(); ++chunk) {
    const std::string& name = table.specs()[part.sums.parameter(chunk)].name;
    part.name_of_chunk.push_back(at(std::ranges::lower_bound(names_, name) - names_.begin()));
  }
  return part;
}

void GradientNorm::add(ConstTensorView dense, ConstTensorView experts, StepExchange& exchange) {
  std::ranges::fill(not_finite_, 0);
  add(dense_, dense, exchange);
  add(experts_, experts, exchange);
}

void GradientNorm::add(Part& part, ConstTensorView gradient, StepExchange& exchange) {
  const std::span<const double> sums = part.sums.of(model_.execution(), gradient);
  for (std::size_t chunk = 0; chunk < sums.size(); ++chunk) {
    exchange.add(sum_, sums[chunk]);
    if (!std::isfinite(sums[chunk])) ++not_finite_[part.name_of_chunk[chunk]];
  }
}

double GradientNorm::norm(const StepExchange& exchange) const { return std::sqrt(exchange.sum(sum_)); }

std::vector<std::string> GradientNorm::not_finite() {
  model_.world().all_reduce_sum(not_finite_);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (not_finite_[i] > 0) names.push_back(names_[i]);
  }
  return names;
}

}  // namespace troupe::workers
