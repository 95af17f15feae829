#pragma once
#include <cstddef>
#include <cstdint>
#include <queue>
#include <span>
#include <string>
#include <vector>

#include "data/tokenizer/pair_map.h"
#include "data/tokenizer/vocabulary.h"
#include "data/tokenizer/word_table.h"

namespace troupe::data {

/// The words of a corpus as sequences of tokens, where the most frequent pair merges step by step.
/// All words lie in one array, a place per byte; a token is known by the place of its first byte.
/// A merge touches the places where its pair stands and nothing else, so that all merges together
/// take time in proportion to the bytes of the distinct words (and a logarithm for the heap).
/// No two pairs make the same bytes ("a"+"bc", "ab"+"c"): a stretch of a word that no merge has
/// crossed was merged like every other such stretch of the same bytes. So every merge makes a new
/// token, and after the merge that made its younger token a pair only gets rarer.
class MergeLearner {
 public:
  /// counts: [words.size()], how often each word was seen. Both must outlive the construction only.
  MergeLearner(const WordTable& words, std::span<const std::int64_t> counts);

  /// Merges the most frequent pair (ties: bpe_trainer.h) everywhere.
  /// False, and nothing done, when no pair is seen `minimum_count` times.
  bool merge_most_frequent(std::int64_t minimum_count);

  [[nodiscard]] int token_count() const { return static_cast<int>(tokens_.size()); }

  /// Tokens and merges; no special tokens.
  [[nodiscard]] Vocabulary vocabulary() &&;

 private:
  using Place = std::uint32_t;
  static constexpr Place kNoPlace = ~Place{0};
  static constexpr TokenId kNoToken = -1;

  /// A place for each byte of each word.
  struct Spot {
    TokenId token = kNoToken;  // that begins here
    Place begin = kNoPlace;    // of the token that ends here
    std::int64_t count = 0;    // how often the word was seen
  };
  struct Pair {
    std::uint64_t key = 0;
    std::int64_t count = 0;     // exact: over the words, how often it stands there times the word's count
    std::vector<Place> places;  // ascending: where its left token begins; some are stale
  };
  struct Candidate {
    std::int64_t count = 0;  // what it was when proposed, so never less than it is now
    std::uint64_t key = 0;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : key > other.key;
    }
  };

  void lay_out(const WordTable& words, std::span<const std::int64_t> counts);
  void count_pairs();
  [[nodiscard]] Place next_of(Place place) const;
  [[nodiscard]] Place previous_of(Place place) const;
  Pair& pair_of(TokenId left, TokenId right);
  void add_pair(Place place, TokenId left, TokenId right, std::int64_t count);
  void merge_everywhere(std::uint64_t key);
  void merge_at(Place place, Place right_place, TokenId result);
  void propose_from(std::size_t first_pair);

  std::vector<std::string> tokens_;
  std::vector<std::uint32_t> lengths_;  // bytes of each token
  std::vector<Merge> merges_;

  std::vector<Spot> spots_;
  PairMap<std::uint32_t> pair_numbers_;
  std::vector<Pair> pairs_;
  std::priority_queue<Candidate> candidates_;
};

}  // namespace troupe::data
