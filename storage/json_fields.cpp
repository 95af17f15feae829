#include "storage/json_fields.h"

#include <vector>

#include "base/error.h"
#include "base/index.h"

namespace troupe::storage {

nlohmann::json parse_json(std::string_view text, std::string_view what) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kCorrupt, "{} is not valid JSON: {}", what, error.what());
  }
}

JsonFields::JsonFields(const nlohmann::json& object, std::string where)
    : object_(object), where_(std::move(where)) {
  if (!object_.is_object()) throw Error(ErrorCode::kCorrupt, "{} is not a JSON object", where_);
}

void JsonFields::refuse(const std::string& name, std::string_view reason) const {
  throw Error(ErrorCode::kCorrupt, "{}.{}: {}", where_, name, reason);
}

const nlohmann::json& JsonFields::member(const std::string& name) {
  const auto found = object_.find(name);
  if (found == object_.end()) refuse(name, "is missing");
  seen_.insert(name);
  return *found;
}

std::int64_t JsonFields::integer(const std::string& name, std::int64_t low, std::int64_t high) {
  const nlohmann::json& value = member(name);
  if (!value.is_number_integer()) refuse(name, "is not an integer");
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    refuse(name, "is too large");
  }
  const auto number = value.get<std::int64_t>();
  if (number < low || number > high) refuse(name, fmt::format("{} is not in {}..{}", number, low, high));
  return number;
}

std::string JsonFields::text(const std::string& name) {
  const nlohmann::json& value = member(name);
  if (!value.is_string()) refuse(name, "is not a string");
  return value.get<std::string>();
}

std::int64_t JsonFields::optional_integer(const std::string& name) {
  return object_.contains(name) ? integer(name) : 0;
}

std::string JsonFields::optional_text(const std::string& name) {
  return object_.contains(name) ? text(name) : std::string();
}

Hash128 JsonFields::hash(const std::string& name) {
  const auto value = Hash128::parse(text(name));
  if (!value) refuse(name, "is not a hash of 32 hexadecimal digits");
  return *value;
}

ElementType JsonFields::element_type(const std::string& name) {
  const std::string value = text(name);
  const auto type = parse_element_type(value);
  if (!type) refuse(name, fmt::format("'{}' is no element type", value));
  return *type;
}

Shape JsonFields::shape(const std::string& name) {
  const nlohmann::json& value = array(name);
  if (value.empty() || value.size() > at(Shape::kMaxRank)) refuse(name, "has not 1 to 4 sizes");
  std::vector<std::int64_t> sizes;
  std::int64_t bytes = 8;
  for (const nlohmann::json& size : value) {
    const auto number = size.is_number_unsigned() ? size.get<std::uint64_t>() : 0;
    if (number == 0 || __builtin_mul_overflow(bytes, number, &bytes)) refuse(name, "has an impossible size");
    sizes.push_back(static_cast<std::int64_t>(number));
  }
  return Shape(sizes);
}

const nlohmann::json& JsonFields::array(const std::string& name) {
  const nlohmann::json& value = member(name);
  if (!value.is_array()) refuse(name, "is not an array");
  return value;
}

JsonFields JsonFields::object(const std::string& name) { return {member(name), where_ + "." + name}; }

void JsonFields::finish() const {
  for (const auto& [name, value] : object_.items()) {
    if (!seen_.contains(name)) refuse(name, "is unknown");
  }
}

}  // namespace troupe::storage
