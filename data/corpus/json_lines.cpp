#include "data/corpus/json_lines.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/utf8.h"
#include "data/corpus/json_text.h"

namespace troupe::data {

using nlohmann::json;
using Fault = JsonLine::Fault;

JsonLine parse_json_line(std::string_view line, const JsonFields& fields) {
  if (!is_utf8(line)) return {Fault::kNoUtf8, {}, {}};
  const std::optional<json> object = parse_object(line);
  if (!object) return {Fault::kNoJson, {}, {}};
  const std::string* text = text_at(*object, fields.text);
  if (text == nullptr) return {Fault::kNoText, {}, {}};
  if (fields.domain.empty()) return {Fault::kNone, *text, {}};
  const std::string* domain = text_at(*object, fields.domain);
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
