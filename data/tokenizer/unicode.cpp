#include "data/tokenizer/unicode.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/index.h"

namespace troupe::data {
namespace {

struct ClassRange {
  std::uint32_t first;
  std::uint32_t last;
  CharacterClass kind;
};

constexpr ClassRange kRanges[] = {
#include "data/tokenizer/unicode_classes.inc"
};

std::vector<CharacterClass> expand_ranges() {
  std::vector<CharacterClass> classes(std::end(kRanges)[-1].last + 1, CharacterClass::kOther);
  for (const ClassRange& range : kRanges) {
    std::fill(classes.begin() + range.first, classes.begin() + range.last + 1, range.kind);
  }
  return classes;
}

const std::vector<CharacterClass>& class_table() {
  static const std::vector<CharacterClass> table = expand_ranges();
  return table;
}

/// How many bytes follow a lead byte, and which second bytes are allowed (Unicode, table 3-7).
struct LeadByte {
  int following = 0;  // 0: begins no sequence
  unsigned char second_low = 0x80;
  unsigned char second_high = 0xBF;
};

LeadByte describe_lead(unsigned char byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {1};
  if (byte == 0xE0) return {2, 0xA0, 0xBF};
  if (byte == 0xED) return {2, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {2};
  if (byte == 0xF0) return {3, 0x90, 0xBF};
  if (byte == 0xF4) return {3, 0x80, 0x8F};
  if (byte >= 0xF1 && byte <= 0xF3) return {3};
  return {};
}

}  // namespace

CharacterReader::CharacterReader() : classes_(class_table().data()), class_count_(class_table().size()) {}

Character CharacterReader::wide_at(std::string_view text, std::size_t position) const {
  constexpr Character kInvalid{CharacterClass::kOther, 1};
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data()) + position;
  const LeadByte lead = describe_lead(bytes[0]);
  const std::size_t following = troupe::at(lead.following);
  if (following == 0 || text.size() - position <= following) return kInvalid;
  if (bytes[1] < lead.second_low || bytes[1] > lead.second_high) return kInvalid;
  std::uint32_t code_point = bytes[0] & (0x3FU >> following);
  for (std::size_t i = 1; i <= following; ++i) {
    if ((bytes[i] & 0xC0) != 0x80) return kInvalid;
    code_point = code_point << 6 | (bytes[i] & 0x3FU);
  }
  const auto length = static_cast<std::uint8_t>(following + 1);
  return {code_point < class_count_ ? classes_[code_point] : CharacterClass::kOther, length};
}

}  // namespace troupe::data
