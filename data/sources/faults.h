#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/index.h"

namespace troupe::data {

/// What can be wrong, or worth knowing, about an input document.
enum class Fault : std::uint8_t {
  // Left out:
  kBrokenLine,      // no JSON object, or without the text or domain that was asked for
  kNoUtf8,          // bytes that are no UTF-8
  kNoConversation,  // a line that is no chat
  kUnknownRole,
  kNoTextContent,  // a message that is not text
  kNoAssistant,    // a conversation without an answer
  kNoPreference,   // a line that prefers nothing
  kEmpty,          // no text
  kTooLong,        // a line beyond the limit
  kWrongToken,     // an id outside the vocabulary
  kDuplicate,      // the same text as an earlier document
  kNearDuplicate,
  kBeyondCap,  // beyond --cap-bytes
  // Kept:
  kByteOrderMark,  // removed from the beginning
  kCarriageReturn,
  kNulByte,
  kCount
};

[[nodiscard]] bool leaves_out(Fault fault);
/// Whether it counts against --max-faults: the input is not what it should be.
[[nodiscard]] bool is_error(Fault fault);
/// "broken lines"
[[nodiscard]] std::string_view to_string(Fault fault);

/// Counts by kind, and the place where each was met first.
class FaultCounts {
 public:
  void add(Fault fault, std::int64_t bytes, const std::string& place);
  void add(const FaultCounts& later);

  struct Count {
    std::int64_t documents = 0;
    std::int64_t bytes = 0;
    std::string first;
    bool operator==(const Count&) const = default;
  };
  [[nodiscard]] const Count& of(Fault fault) const { return counts_[at(fault)]; }
  void set(Fault fault, const Count& count) { counts_[at(fault)] = count; }
  /// Documents whose fault is an error.
  [[nodiscard]] std::int64_t errors() const;
  /// A line for each that was met: "left out 3 documents (120 bytes): broken lines, first a.jsonl:7: …".
  [[nodiscard]] std::string to_text() const;
  bool operator==(const FaultCounts&) const = default;

 private:
  std::array<Count, at(Fault::kCount)> counts_;
};

}  // namespace troupe::data
