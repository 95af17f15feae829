#include "layers/declaration.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tensor/tensor.h"

namespace troupe::layers {
namespace {

constexpr std::int64_t kElementBytes = 4;

bool is_outside_layers(ParameterRole role) {
  return role == ParameterRole::kEmbedding || role == ParameterRole::kHead;
}

/// From the stream's width to a number that does not grow with it.
bool maps_to_few(ParameterRole role) {
  return role == ParameterRole::kRouter || role == ParameterRole::kGate;
}

}  // namespace

std::int64_t Declaration::aligned(std::int64_t elements) {
  constexpr std::int64_t kMultiple = static_cast<std::int64_t>(kTensorAlignment) / kElementBytes;
  return (elements + kMultiple - 1) / kMultiple * kMultiple;
}

ParameterSpec& Declaration::parameter(const std::string& name, ParameterRole role, const Shape& shape) {
  ParameterSpec& spec = parameters_.emplace_back();
  spec.name = place_.prefix + name;
  spec.shape = shape;
  spec.layer = place_.layer;
  spec.part = place_.part;
  spec.role = role;
  if (role != ParameterRole::kEmbedding) multiply(spec.elements());
  return spec;
}

void Declaration::matrix(const std::string& name, ParameterRole role, std::int64_t rows, std::int64_t columns,
                         double init_factor) {
  const Rows all{rows};
  matrices(name, role, {&all, 1}, columns, init_factor);
}

void Declaration::matrices(const std::string& name, ParameterRole role, std::span<const Rows> parts,
                           std::int64_t columns, double init_factor) {
  std::int64_t rows = 0;
  std::vector<InitialRows> initial;
  const double first = deviation(role, parts.front(), columns);
  for (const Rows& part : parts) {
    initial.push_back({rows, deviation(role, part, columns) / first});
    rows += part.count;
  }
  const bool alike = std::ranges::all_of(initial, [](const InitialRows& one) { return one.factor == 1.0; });
  ParameterSpec& spec = parameter(name, role, {rows, columns});
  spec.init_std = first * init_factor;
  if (!alike) spec.initial_rows = std::move(initial);
  if (!is_outside_layers(role)) spec.lr_factor = 1.0 / place_.start.width;
}

/// Of the initial values of a matrix. By arXiv 2203.03466, table 8, matrices from width to width begin with
/// 1 / sqrt(m), those from width to few with 1 / m.
double Declaration::deviation(ParameterRole role, const Rows& rows, std::int64_t columns) const {
  const Start& start = place_.start;
  if (is_outside_layers(role)) return start.std;
  const double size = static_cast<double>(rows.count + columns);
  double std = start.xavier ? std::sqrt(2.0 / size) : start.std;
  const bool feeds = place_.part != ParameterPart::kMixer && role == ParameterRole::kInput;
  if (role == ParameterRole::kOutput) std *= start.residual_factor;
  if (role == ParameterRole::kOutput || feeds || rows.values) std *= start.deep_factor;
  return std / (maps_to_few(role) ? start.width : std::sqrt(start.width));
}

void Declaration::vector(const std::string& name, ParameterRole role, std::int64_t size, float value) {
  ParameterSpec& spec = parameter(name, role, {size});
  spec.init_std = 0.0;
  spec.init_constant = value;
}

void Declaration::experts(const Declaration& one, std::int64_t moe_layer, std::int64_t count, double chosen) {
  for (std::int64_t expert = 0; expert < count; ++expert) {
    for (ParameterSpec spec : one.parameters_) {
      spec.kind = ParameterKind::kExpert;
      spec.expert = expert;
      spec.moe_layer = moe_layer;
      spec.experts = count;
      parameters_.push_back(std::move(spec));
    }
  }
  multiplied_ += one.multiplied_ * chosen;
}

void Declaration::hold(bool kept, std::int64_t elements) {
  if (kept) return keep(elements);
  use_in_forward(elements);
  use_in_backward(elements);
}

Declaration Declaration::part(const std::string& folder, ParameterPart part) const {
  Place place = place_;
  place.prefix += folder;
  place.part = part;
  return Declaration(std::move(place));
}

void Declaration::add(Declaration part) {
  std::ranges::move(part.parameters_, std::back_inserter(parameters_));
  kept_ += part.kept_;
  forward_.of_parts = std::max(forward_.of_parts, part.forward_.elements());
  backward_.of_parts = std::max(backward_.of_parts, part.backward_.elements());
  multiplied_ += part.multiplied_;
  pair_flops_ += part.pair_flops_;
}

std::int64_t Declaration::kept_bytes() const { return kept_ * kElementBytes; }
std::int64_t Declaration::used_bytes() const {
  return std::max(forward_.elements(), backward_.elements()) * kElementBytes;
}

}  // namespace troupe::layers
