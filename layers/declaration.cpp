#include "layers/declaration.h"

#include <algorithm>
#include <utility>

#include "tensor/tensor.h"

namespace troupe::layers {
namespace {

constexpr std::int64_t kElementBytes = 4;

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
  const double factor = role == ParameterRole::kOutput ? place_.residual_factor : 1.0;
  parameter(name, role, {rows, columns}).init_std = place_.init_std * init_factor * factor;
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
