#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/index.h"
#include "data/tokenizer/vocabulary.h"

namespace troupe::data {

/// Two adjacent tokens as one number; sorts by left, then by right.
[[nodiscard]] constexpr std::uint64_t pair_key(TokenId left, TokenId right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
         static_cast<std::uint32_t>(right);
}

/// Hash table from pair_key to Value with open addressing: a look-up is one or two cache lines,
/// which is what encoding and training spend their time on. Grows by itself, never shrinks.
template <class Value>
class PairMap {
 public:
  explicit PairMap(std::size_t expected = 16) : slots_(std::bit_ceil(2 * expected + 2)) {}

  /// The value, or nullptr. Valid until the next insertion.
  [[nodiscard]] const Value* find(std::uint64_t key) const {
    const Slot& slot = slots_[slot_of(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

  /// The value of `key`, and whether it was inserted now (as `value`).
  std::pair<Value&, bool> find_or_insert(std::uint64_t key, const Value& value) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    Slot& slot = slots_[slot_of(key)];
    if (slot.key == key) return {slot.value, false};
    slot = {key, value};
    ++size_;
    return {slot.value, true};
  }

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};  // no pair: token ids are not negative
  struct Slot {
    std::uint64_t key = kEmpty;
    Value value{};
  };

  [[nodiscard]] std::size_t slot_of(std::uint64_t key) const {
    const std::size_t mask = slots_.size() - 1;
    const std::uint64_t mixed = (key ^ key >> 29) * 0x9E3779B97F4A7C15ULL;
    auto index = at(mixed >> 32) & mask;
    while (slots_[index].key != key && slots_[index].key != kEmpty) index = (index + 1) & mask;
    return index;
  }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (Slot& slot : old) {
      if (slot.key != kEmpty) slots_[slot_of(slot.key)] = std::move(slot);
    }
  }

  std::vector<Slot> slots_;  // a power of two, at most half full
  std::size_t size_ = 0;
};

}  // namespace troupe::data
