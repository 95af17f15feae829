#include "comm/control/messages/cbor.h"

#include <bit>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"

namespace troupe::comm::detail {
namespace {

// Major types, in the upper three bits of an item's first byte (RFC 8949, section 3.1).
constexpr unsigned kUnsigned = 0;
constexpr unsigned kNegative = 1;
constexpr unsigned kText = 3;
constexpr unsigned kList = 4;
constexpr unsigned kMap = 5;
constexpr unsigned kSimple = 7;
// What the lower five bits say of a simple item; of others, up to 23 is the argument itself, from 24 on
// 1, 2, 4 or 8 bytes of it follow.
constexpr unsigned kFalse = 20;
constexpr unsigned kTrue = 21;
constexpr unsigned kNumber32 = 26;
constexpr unsigned kNumber64 = 27;
constexpr unsigned kOneByte = 24;
constexpr unsigned kEightBytes = 27;

constexpr std::uint64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();

char initial_byte(unsigned major, unsigned info) { return static_cast<char>(major << 5 | info); }

/// CBOR's numbers have their highest byte first.
void put(std::string& bytes, std::uint64_t value, unsigned count) {
  for (unsigned i = count; i-- > 0;) bytes += static_cast<char>(value >> (8 * i));
}

}  // namespace

// ---- writing -----------------------------------------------------------------------------------

void CborWriter::head(unsigned major, std::uint64_t argument) {
  if (argument < kOneByte) {
    bytes_ += initial_byte(major, static_cast<unsigned>(argument));
    return;
  }
  const int bits = std::bit_width(argument);
  const unsigned log_bytes = bits <= 8 ? 0 : bits <= 16 ? 1 : bits <= 32 ? 2 : 3;
  bytes_ += initial_byte(major, kOneByte + log_bytes);
  put(bytes_, argument, 1U << log_bytes);
}

void CborWriter::integer(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (value < 0) return head(kNegative, ~bits);  // -1 - value
  head(kUnsigned, bits);
}

void CborWriter::unsigned_integer(std::uint64_t value) { head(kUnsigned, value); }

void CborWriter::number(double value) {
  bytes_ += initial_byte(kSimple, kNumber64);
  put(bytes_, std::bit_cast<std::uint64_t>(value), sizeof(value));
}

void CborWriter::number(float value) {
  bytes_ += initial_byte(kSimple, kNumber32);
  put(bytes_, std::bit_cast<std::uint32_t>(value), sizeof(value));
}

void CborWriter::boolean(bool value) { bytes_ += initial_byte(kSimple, value ? kTrue : kFalse); }

void CborWriter::text(std::string_view value) {
  head(kText, value.size());
  bytes_ += value;
}

void CborWriter::list(std::size_t elements) { head(kList, elements); }

void CborWriter::map(std::size_t pairs) { head(kMap, pairs); }

// ---- reading -----------------------------------------------------------------------------------

void CborReader::refuse(const char* what) const {
  throw Error(ErrorCode::kCorrupt, "control message: {} at byte {}", what, offset_);
}

std::uint64_t CborReader::take(std::size_t count) {
  if (count > bytes_.size() - offset_) refuse("an early end");
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | static_cast<unsigned char>(bytes_[offset_++]);
  return value;
}

CborReader::Head CborReader::head() {
  const auto initial = static_cast<unsigned>(take(1));
  Head head{initial >> 5, initial & 31U, initial & 31U};
  if (head.info > kEightBytes) refuse("an indefinite or reserved length");
  if (head.info >= kOneByte) head.argument = take(std::size_t{1} << (head.info - kOneByte));
  return head;
}

std::uint64_t CborReader::argument_of(unsigned major, const char* wanted) {
  const Head next = head();
  if (next.major != major) refuse(wanted);
  return next.argument;
}

std::int64_t CborReader::integer() {
  const Head next = head();
  if (next.major > kNegative || next.argument > kMaxInteger) refuse("not an integer of 64 bits");
  const auto value = static_cast<std::int64_t>(next.argument);
  return next.major == kNegative ? -1 - value : value;
}

std::uint64_t CborReader::unsigned_integer() {
  return argument_of(kUnsigned, "not an integer of at least 0");
}

std::uint64_t CborReader::simple(unsigned info, const char* wanted) {
  const Head next = head();
  if (next.major != kSimple || next.info != info) refuse(wanted);
  return next.argument;
}

double CborReader::number64() { return std::bit_cast<double>(simple(kNumber64, "not a 64-bit number")); }

float CborReader::number32() {
  return std::bit_cast<float>(static_cast<std::uint32_t>(simple(kNumber32, "not a 32-bit number")));
}

bool CborReader::boolean() {
  const Head next = head();
  if (next.major != kSimple || (next.info != kFalse && next.info != kTrue)) refuse("neither true nor false");
  return next.info == kTrue;
}

std::string_view CborReader::text() {
  const std::uint64_t length = argument_of(kText, "not text");
  if (length > bytes_.size() - offset_) refuse("text longer than the message");
  const std::string_view value = bytes_.substr(offset_, length);
  if (!is_utf8(value)) refuse("text that is not UTF-8");
  offset_ += length;
  return value;
}

// Every element takes a byte at least, so no honest count exceeds what is left.
std::size_t CborReader::list() {
  const std::uint64_t elements = argument_of(kList, "not a list");
  if (elements > bytes_.size() - offset_) refuse("more elements than bytes");
  return elements;
}

std::size_t CborReader::map() {
  const std::uint64_t pairs = argument_of(kMap, "not a map");
  if (pairs > (bytes_.size() - offset_) / 2) refuse("more elements than bytes");
  return pairs;
}

void CborReader::end() const {
  if (offset_ != bytes_.size()) refuse("bytes behind the message");
}

}  // namespace troupe::comm::detail
