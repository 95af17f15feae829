#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::data {

/// Which members of a JSON object a document is in. A dot goes into an object: "meta.source".
struct JsonFields {
  std::string text = "text";
  std::string domain;  // empty: the line says nothing of it
};

/// A line of JSONL (one JSON object a line), or what is wrong with it.
struct JsonLine {
  enum class Fault : std::uint8_t { kNone, kNoJson, kNoText, kNoDomain, kNoUtf8 };
  Fault fault = Fault::kNone;
  std::string text;
  std::string domain;
};

/// `line` is without its line end. Takes any bytes.
[[nodiscard]] JsonLine parse_json_line(std::string_view line, const JsonFields& fields);

/// "no JSON object", "no text in 'body'"
[[nodiscard]] std::string to_string(JsonLine::Fault fault, const JsonFields& fields);

}  // namespace troupe::data
