#include "data/tokenizer/word_table.h"

#define XXH_INLINE_ALL  // words are short: the call would cost more than the hash
#include <xxhash.h>

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace troupe::data {
namespace {

constexpr std::size_t kFirstSlots = 1024;

std::uint32_t tag_of(std::uint64_t word_hash) { return static_cast<std::uint32_t>(word_hash >> 32); }

}  // namespace

WordTable::WordTable() : begins_{0}, slots_(kFirstSlots) {}

std::uint64_t WordTable::hash(std::string_view word) { return XXH3_64bits(word.data(), word.size()); }

std::size_t WordTable::slot_of(std::string_view bytes, std::uint64_t word_hash) const {
  const std::size_t mask = slots_.size() - 1;
  const std::uint32_t tag = tag_of(word_hash);
  std::size_t index = word_hash & mask;
  while (slots_[index].number != kMissing &&
         (slots_[index].tag != tag || word(slots_[index].number) != bytes)) {
    index = (index + 1) & mask;
  }
  return index;
}

std::uint32_t WordTable::find(std::string_view bytes, std::uint64_t word_hash) const {
  return slots_[slot_of(bytes, word_hash)].number;
}

std::pair<std::uint32_t, bool> WordTable::find_or_insert(std::string_view bytes, std::uint64_t word_hash) {
  if (2 * (std::size_t{size()} + 1) > slots_.size()) grow();
  Slot& slot = slots_[slot_of(bytes, word_hash)];
  if (slot.number != kMissing) return {slot.number, false};
  constexpr std::size_t kLimit = std::numeric_limits<std::uint32_t>::max();
  TROUPE_CHECK(bytes.size() <= kLimit - bytes_.size(), "a word table holds at most {} bytes", kLimit);
  slot = {size(), tag_of(word_hash)};
  bytes_ += bytes;
  begins_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  return {slot.number, true};
}

void WordTable::clear() {
  bytes_.clear();
  begins_.assign(1, 0);
  std::fill(slots_.begin(), slots_.end(), Slot{});
}

void WordTable::grow() {
  slots_.assign(2 * slots_.size(), Slot{});
  for (std::uint32_t number = 0; number < size(); ++number) {
    const std::uint64_t word_hash = hash(word(number));
    slots_[slot_of(word(number), word_hash)] = {number, tag_of(word_hash)};
  }
}

}  // namespace troupe::data
