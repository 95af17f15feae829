#include "data/corpus/json_text.h"

#include "base/json_outline.h"

namespace troupe::data {

using nlohmann::json;

namespace {

constexpr std::int64_t kDeepestNesting = 64;

}  // namespace

std::optional<json> parse_object(std::string_view line) {
  if (json_outline(line).depth > kDeepestNesting) return std::nullopt;
  json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  return object;
}

const std::string* text_at(const json& object, std::string_view path) {
  const json* value = &object;
  while (value->is_object()) {
    if (const auto whole = value->find(path); whole != value->end())  // a name that has a dot itself
      return whole->get_ptr<const std::string*>();
    const std::size_t dot = path.find('.');
    if (dot == std::string_view::npos) return nullptr;
    const auto member = value->find(path.substr(0, dot));
    if (member == value->end()) return nullptr;
    value = &*member;
    path.remove_prefix(dot + 1);
  }
  return nullptr;
}

}  // namespace troupe::data
