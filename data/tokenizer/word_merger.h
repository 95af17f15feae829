#pragma once
#include <cstddef>
#include <cstdint>
#include <queue>
#include <string_view>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/unicode.h"

namespace troupe::data {

/// Applies the merges to one word: always the pair of lowest rank, the leftmost of equals.
/// Keeps its working memory between calls. Not thread-safe; the tokenizer must outlive it.
class WordMerger {
 public:
  explicit WordMerger(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// Appends the tokens of `word`, which must be shorter than 2^32 - 1 bytes.
  void merge(std::string_view word, std::vector<TokenId>& tokens);

  /// The two ways to do it, which agree: scanning for the lowest rank is quadratic and the faster
  /// one for short words, the heap takes n log n.
  void merge_by_scan(std::string_view word, std::vector<TokenId>& tokens);
  void merge_by_heap(std::string_view word, std::vector<TokenId>& tokens);

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  struct Symbol {
    TokenId token = 0;
    std::uint32_t previous = kNone;
    std::uint32_t next = kNone;
  };
  struct Candidate {  // symbols_[left] and its successor
    std::int32_t rank = 0;
    std::uint32_t left = 0;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };

  /// Appends what the merges begin with: a token per byte or, with byte fallback, per character that is one.
  void append_smallest(std::string_view word, std::vector<TokenId>& tokens) const;
  void start_symbols(std::string_view word);
  void propose(std::uint32_t left);
  void apply(const Candidate& candidate);

  const Tokenizer& tokenizer_;
  std::vector<MergeRule> rules_;  // of the scan: rules_[i] joins tokens i and i + 1
  std::vector<Symbol> symbols_;   // of the heap
  std::vector<TokenId> smallest_;
  CharacterReader reader_;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates_;
};

}  // namespace troupe::data
