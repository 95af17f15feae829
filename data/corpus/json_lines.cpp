#include "data/corpus/json_lines.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/corpus/utf8.h"

namespace troupe::data {
namespace {

using nlohmann::json;
using Fault = JsonLine::Fault;

/// The text at a path of members, or nullptr.
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

}  // namespace

JsonLine parse_json_line(std::string_view line, const JsonFields& fields) {
  if (!is_valid_utf8(line)) return {Fault::kNoUtf8, {}, {}};
  const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return {Fault::kNoJson, {}, {}};
  const std::string* text = text_at(object, fields.text);
  if (text == nullptr) return {Fault::kNoText, {}, {}};
  if (fields.domain.empty()) return {Fault::kNone, *text, {}};
  const std::string* domain = text_at(object, fields.domain);
  if (domain == nullptr || domain->empty()) return {Fault::kNoDomain, {}, {}};
  return {Fault::kNone, *text, *domain};
}

std::string to_string(Fault fault, const JsonFields& fields) {
  switch (fault) {
    case Fault::kNone:
      return "nothing wrong";
    case Fault::kNoJson:
      return "no JSON object";
    case Fault::kNoText:
      return fmt::format("no text in '{}'", fields.text);
    case Fault::kNoDomain:
      return fmt::format("no text in '{}'", fields.domain);
    case Fault::kNoUtf8:
      return "not UTF-8";
  }
  return "";
}

}  // namespace troupe::data
