#include "comm/control/codec.h"

#include <cmath>
#include <concepts>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "comm/control/cbor.h"
#include "comm/control/message_fields.h"
#include "comm/control/utf8.h"

namespace troupe::comm {

namespace {

using detail::Description;
using nlohmann::json;

// ---- writing -----------------------------------------------------------------------------------

template <class Message>
json write_fields(const Message& message);

template <class Number>
requires std::is_arithmetic_v<Number> json write(Number value) { return value; }
json write(const std::string& text) { return detail::to_utf8(text); }

template <class Struct>
requires requires { sizeof(Description<Struct>); }
json write(const Struct& value) { return write_fields(value); }

template <class Element>
json write(const std::vector<Element>& elements) {
  json list = json::array();
  for (const Element& element : elements) list.push_back(write(element));
  return list;
}

template <class Value>
json write(const std::map<std::string, Value>& values) {
  json map = json::object();
  for (const auto& [key, value] : values) map[detail::to_utf8(key)] = write(value);
  return map;
}

template <class Message>
json write_fields(const Message& message) {
  json object = json::object();
  auto archive = [&](const char* name, const auto& field) { object[name] = write(field); };
  Description<Message>::fields(archive, message);
  return object;
}

template <class... Messages>
std::string encode_any(const std::variant<Messages...>& message) {
  json envelope;
  std::visit(
      [&]<class Message>(const Message& one) {
        envelope["type"] = Description<Message>::kName;
        envelope["fields"] = write_fields(one);
      },
      message);
  std::string bytes;
  json::to_cbor(envelope, bytes);
  return bytes;
}

// ---- reading -----------------------------------------------------------------------------------

template <class Message>
void read_fields(const json& object, Message& message);

[[noreturn]] void refuse_type(const char* wanted) {
  throw Error(ErrorCode::kCorrupt, "control message: a field that should be {} is not", wanted);
}

void read(const json& value, bool& flag) {
  if (!value.is_boolean()) refuse_type("true or false");
  flag = value.get<bool>();
}

void read(const json& value, std::int64_t& number) {
  if (!value.is_number_integer()) refuse_type("an integer");
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
    refuse_type("a signed 64-bit integer");
  }
  number = value.get<std::int64_t>();
}

void read(const json& value, std::uint64_t& number) {
  if (!value.is_number_unsigned()) refuse_type("an integer of at least 0");
  number = value.get<std::uint64_t>();
}

void read(const json& value, double& number) {
  if (!value.is_number_float()) refuse_type("a number");
  number = value.get<double>();
}

void read(const json& value, float& number) {
  double wide = 0.0;
  read(value, wide);
  if (std::isfinite(wide) && std::abs(wide) > std::numeric_limits<float>::max())
    refuse_type("a 32-bit number");
  number = static_cast<float>(wide);
}

void read(const json& value, std::string& text) {
  if (!value.is_string()) refuse_type("text");
  text = value.get_ref<const std::string&>();
}

template <class Struct>
requires requires { sizeof(Description<Struct>); }
void read(const json& value, Struct& into) { read_fields(value, into); }

template <class Element>
void read(const json& value, std::vector<Element>& elements) {
  if (!value.is_array()) refuse_type("a list");
  elements.resize(value.size());
  for (std::size_t i = 0; i < elements.size(); ++i) read(value[i], elements[i]);
}

template <class Value>
void read(const json& value, std::map<std::string, Value>& values) {
  if (!value.is_object()) refuse_type("a map");
  for (const auto& [key, element] : value.items()) read(element, values[key]);
}

template <class Message>
void read_fields(const json& object, Message& message) {
  if (!object.is_object()) refuse_type("a map of fields");
  std::size_t known = 0;
  auto archive = [&](const char* name, auto& field) {
    const auto found = object.find(name);
    if (found == object.end())
      throw Error(ErrorCode::kCorrupt, "control message: field '{}' is missing", name);
    read(*found, field);
    ++known;
  };
  Description<Message>::fields(archive, message);
  if (known != object.size()) throw Error(ErrorCode::kCorrupt, "control message: it has unknown fields");
}

template <class Message, class Any>
bool read_if_named(const std::string& name, const json& fields, Any& message) {
  if (name != Description<Message>::kName) return false;
  Message one;
  read_fields(fields, one);
  message = std::move(one);
  return true;
}

template <class... Messages>
void decode_any(std::string_view bytes, std::variant<Messages...>& message) {
  const json envelope = detail::parse_cbor(bytes);
  if (!envelope.is_object() || envelope.size() != 2 || !envelope.contains("type") ||
      !envelope.contains("fields")) {
    throw Error(ErrorCode::kCorrupt, "control message: it is not {{type, fields}}");
  }
  std::string name;
  read(envelope["type"], name);
  if (!(read_if_named<Messages>(name, envelope["fields"], message) || ...)) {
    throw Error(ErrorCode::kCorrupt, "control message: unknown type '{}'", name.substr(0, 64));
  }
}

}  // namespace

std::string encode(const WorkerMessage& message) { return encode_any(message); }

std::string encode(const CoordinatorMessage& message) { return encode_any(message); }

WorkerMessage decode_worker_message(std::string_view bytes) {
  WorkerMessage message;
  decode_any(bytes, message);
  return message;
}

CoordinatorMessage decode_coordinator_message(std::string_view bytes) {
  CoordinatorMessage message;
  decode_any(bytes, message);
  return message;
}

}  // namespace troupe::comm
