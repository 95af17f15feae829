#include "data/sources/faults.h"

#include <fmt/format.h>

#include "base/index.h"

namespace troupe::data {

bool leaves_out(Fault fault) { return fault < Fault::kByteOrderMark; }

bool is_error(Fault fault) {
  return fault == Fault::kBrokenLine || fault == Fault::kNoUtf8 || fault == Fault::kTooLong ||
         fault == Fault::kWrongToken || fault == Fault::kNoConversation || fault == Fault::kUnknownRole ||
         fault == Fault::kNoTextContent || fault == Fault::kNoAssistant || fault == Fault::kNoPreference;
}

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::kBrokenLine:
      return "broken lines";
    case Fault::kNoUtf8:
      return "not UTF-8";
    case Fault::kNoConversation:
      return "without a conversation";
    case Fault::kUnknownRole:
      return "with a message of an unknown role";
    case Fault::kNoTextContent:
      return "with a message that is no text";
    case Fault::kNoAssistant:
      return "without an answer of the assistant";
    case Fault::kNoPreference:
      return "without a preference";
    case Fault::kEmpty:
      return "empty";
    case Fault::kTooLong:
      return "longer than 256 MiB";
    case Fault::kWrongToken:
      return "tokens outside the vocabulary";
    case Fault::kDuplicate:
      return "duplicates";
    case Fault::kNearDuplicate:
      return "near duplicates";
    case Fault::kBeyondCap:
      return "beyond --cap-bytes";
    case Fault::kByteOrderMark:
      return "with a byte order mark, which was removed";
    case Fault::kCarriageReturn:
      return "with carriage returns";
    case Fault::kNulByte:
      return "with NUL bytes";
    case Fault::kCount:
      break;
  }
  return "";
}

void FaultCounts::add(Fault fault, std::int64_t bytes, const std::string& place) {
  Count& count = counts_[at(fault)];
  if (count.documents++ == 0) count.first = place;
  count.bytes += bytes;
}

void FaultCounts::add(const FaultCounts& later) {
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i].documents == 0) counts_[i].first = later.counts_[i].first;
    counts_[i].documents += later.counts_[i].documents;
    counts_[i].bytes += later.counts_[i].bytes;
  }
}

std::int64_t FaultCounts::errors() const {
  std::int64_t errors = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (is_error(static_cast<Fault>(i))) errors += counts_[i].documents;
  }
  return errors;
}

std::string FaultCounts::to_text() const {
  std::string text;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const auto fault = static_cast<Fault>(i);
    if (counts_[i].documents == 0) continue;
    text += fmt::format("{} {} documents ({} bytes): {}, first {}\n", leaves_out(fault) ? "left out" : "kept",
                        counts_[i].documents, counts_[i].bytes, to_string(fault), counts_[i].first);
  }
  return text;
}

}  // namespace troupe::data
