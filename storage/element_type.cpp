#include "storage/element_type.h"

#include <array>

#include "base/error.h"

namespace troupe::storage {
namespace {

struct Description {
  ElementType type;
  std::string_view name;
  std::int64_t bytes;
};

constexpr std::array kDescriptions{
    Description{ElementType::kF32, "f32", 4}, Description{ElementType::kF64, "f64", 8},
    Description{ElementType::kI32, "i32", 4}, Description{ElementType::kI64, "i64", 8},
    Description{ElementType::kU16, "u16", 2},
};

const Description& description(ElementType type) {
  for (const Description& each : kDescriptions) {
    if (each.type == type) return each;
  }
  throw Error(ErrorCode::kInternal, "element type {} does not exist", static_cast<int>(type));
}

}  // namespace

std::int64_t size_bytes(ElementType type) { return description(type).bytes; }

std::string_view to_string(ElementType type) { return description(type).name; }

std::optional<ElementType> parse_element_type(std::string_view name) {
  for (const Description& each : kDescriptions) {
    if (each.name == name) return each.type;
  }
  return std::nullopt;
}

}  // namespace troupe::storage
