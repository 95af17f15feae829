#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "base/random.h"
#include "tensor/parameter.h"

namespace troupe::workers {

/// A number that says where it belongs: another one for every element of every tensor and expert, and for
/// every `kind` of value (weight, first moment, …). In [1, 2).
inline float marked_value(const ParameterSpec& spec, std::int64_t element, std::uint32_t kind) {
  const auto seed = std::hash<std::string>{}(spec.name + "/" + std::to_string(spec.expert));
  const Random random(seed, RandomPurpose::kTest, kind);
  return 1.0F + static_cast<float>(random.bits(static_cast<std::uint64_t>(element)) >> 41U) * 0x1p-23F;
}

}  // namespace troupe::workers
