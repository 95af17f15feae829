#include "comm/control/messages/codec.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "comm/control/messages/cbor.h"
#include "comm/control/messages/message_fields.h"

namespace troupe::comm {

namespace {

using detail::CborReader;
using detail::CborWriter;
using detail::Description;

constexpr std::string_view kType = "type";
constexpr std::string_view kFields = "fields";
constexpr std::size_t kReserved = 1024;  // elements: a count from outside alone claims no more memory

template <class Message>
std::size_t count_fields() {
  static const std::size_t kCount = [] {
    std::size_t count = 0;
    auto archive = [&](const char*, const auto&) { ++count; };
    const Message message;
    Description<Message>::fields(archive, message);
    return count;
  }();
  return kCount;
}

// ---- writing -----------------------------------------------------------------------------------

template <class Message>
requires requires { sizeof(Description<Message>); }
void write(CborWriter& out, const Message& message);

void write(CborWriter& out, bool value) { out.boolean(value); }
void write(CborWriter& out, std::int64_t value) { out.integer(value); }
void write(CborWriter& out, std::uint64_t value) { out.unsigned_integer(value); }
void write(CborWriter& out, float value) { out.number(value); }
void write(CborWriter& out, double value) { out.number(value); }
void write(CborWriter& out, const std::string& text) {
  is_utf8(text) ? out.text(text) : out.text(to_utf8(text));
}

template <class Element>
void write(CborWriter& out, const std::vector<Element>& elements) {
  out.list(elements.size());
  for (const Element& element : elements) write(out, element);
}

template <class Value>
void write(CborWriter& out, const std::map<std::string, Value>& values) {
  out.map(values.size());
  for (const auto& [key, value] : values) {
    write(out, key);
    write(out, value);
  }
}

template <class Message>
requires requires { sizeof(Description<Message>); }
void write(CborWriter& out, const Message& message) {
  out.map(count_fields<Message>());
  auto archive = [&](const char* name, const auto& field) {
    out.text(name);
    write(out, field);
  };
  Description<Message>::fields(archive, message);
}

template <class... Messages>
std::string encode_any(const std::variant<Messages...>& message) {
  CborWriter out;
  out.map(2);
  std::visit(
      [&]<class Message>(const Message& one) {
        out.text(kType);
        out.text(Description<Message>::kName);
        out.text(kFields);
        write(out, one);
      },
      message);
  return out.take();
}

// ---- reading -----------------------------------------------------------------------------------

template <class Message>
requires requires { sizeof(Description<Message>); }
void read(CborReader& in, Message& message);

void read(CborReader& in, bool& value) { value = in.boolean(); }
void read(CborReader& in, std::int64_t& value) { value = in.integer(); }
void read(CborReader& in, std::uint64_t& value) { value = in.unsigned_integer(); }
void read(CborReader& in, float& value) { value = in.number32(); }
void read(CborReader& in, double& value) { value = in.number64(); }
void read(CborReader& in, std::string& text) { text = in.text(); }

template <class Element>
void read(CborReader& in, std::vector<Element>& elements) {
  const std::size_t count = in.list();
  elements.reserve(std::min(count, kReserved));
  for (std::size_t i = 0; i < count; ++i) read(in, elements.emplace_back());
}

template <class Value>
void read(CborReader& in, std::map<std::string, Value>& values) {
  const std::size_t count = in.map();
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view key = in.text();
    read(in, values.try_emplace(values.end(), std::string(key))->second);  // they come in order
  }
}

void expect(CborReader& in, std::string_view key) {
  if (in.text() != key)
    throw Error(ErrorCode::kCorrupt, "control message: '{}' is not where it must be", key);
}

template <class Message>
requires requires { sizeof(Description<Message>); }
void read(CborReader& in, Message& message) {
  if (in.map() != count_fields<Message>())
    throw Error(ErrorCode::kCorrupt, "control message: fields are unknown or missing");
  auto archive = [&](const char* name, auto& field) {
    expect(in, name);
    read(in, field);
  };
  Description<Message>::fields(archive, message);
}

template <class Message, class Any>
bool read_if_named(std::string_view name, CborReader& in, Any& message) {
  if (name != Description<Message>::kName) return false;
  read(in, message.template emplace<Message>());
  return true;
}

template <class... Messages>
void decode_any(std::string_view bytes, std::variant<Messages...>& message) {
  CborReader in(bytes);
  if (in.map() != 2) throw Error(ErrorCode::kCorrupt, "control message: it is not {{type, fields}}");
  expect(in, kType);
  const std::string_view name = in.text();
  expect(in, kFields);
  if (!(read_if_named<Messages>(name, in, message) || ...)) {
    throw Error(ErrorCode::kCorrupt, "control message: unknown type '{}'", name.substr(0, 64));
  }
  in.end();
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
