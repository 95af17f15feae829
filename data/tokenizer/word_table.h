#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::data {

/// Numbers distinct byte strings 0, 1, 2, … in the order of their first insertion.
/// At most 2^32 - 2 strings of at most 4 GiB in all.
class WordTable {
 public:
  static constexpr std::uint32_t kMissing = ~std::uint32_t{0};

  WordTable();

  [[nodiscard]] static std::uint64_t hash(std::string_view word);

  /// The word's number, or kMissing. `word_hash` is hash(word).
  [[nodiscard]] std::uint32_t find(std::string_view word, std::uint64_t word_hash) const;

  /// The word's number, and whether it is new.
  std::pair<std::uint32_t, bool> find_or_insert(std::string_view word, std::uint64_t word_hash);

  [[nodiscard]] std::string_view word(std::uint32_t number) const {
    return std::string_view(bytes_).substr(begins_[number], begins_[number + 1] - begins_[number]);
  }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(begins_.size() - 1); }
  /// Bytes of all words together.
  [[nodiscard]] std::size_t byte_count() const { return bytes_.size(); }

  /// Forgets all words and keeps the memory.
  void clear();

 private:
  struct Slot {
    std::uint32_t number = kMissing;
    std::uint32_t tag = 0;  // upper half of the hash: spares most comparisons of bytes
  };
  [[nodiscard]] std::size_t slot_of(std::string_view word, std::uint64_t word_hash) const;
  void grow();

  std::string bytes_;
  std::vector<std::uint32_t> begins_;  // [size + 1]
  std::vector<Slot> slots_;            // a power of two, at most half full
};

}  // namespace troupe::data
