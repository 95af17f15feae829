#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/tokenizer/pre_tokenizer.h"
#include "data/tokenizer/vocabulary.h"
#include "data/tokenizer/word_table.h"

namespace troupe::data {

struct BpeTrainerOptions {
  int vocab_size = 8192;                         // entries: 256 bytes, merged tokens, special tokens
  std::int64_t minimum_count = 2;                // a pair that is seen less often becomes no token
  TokenizerRules rules = {};                     // which words there are; byte fallback is not trained
  std::vector<std::string> special_tokens = {};  // beside `<|endoftext|>`, which comes first
  std::string begin_of_text =
      {};  // a special token that begins documents, the last if none of those; empty: none
  /// Memory: training needs about 25 times this. When the distinct words take more bytes, the
  /// rarest are forgotten (about 6 MB are needed for 40 MB of mixed text).
  std::size_t word_bytes = std::size_t{32} << 20;
};

/// Learns a vocabulary: the most frequent pair of adjacent tokens becomes a token, again and again.
/// Deterministic: the same documents in the same order give the same vocabulary, on every machine.
/// Ids: 0..255 are the bytes in alphabet order (byte_alphabet.h), then the merged tokens in the
/// order in which they were made, last `<|endoftext|>` and other special tokens. Of pairs with equal counts
/// the one with the lower left id merges first, then the one with the lower right id. Not thread-safe.
class BpeTrainer {
 public:
  /// Throws Error{kConfig} for options out of range.
  explicit BpeTrainer(const BpeTrainerOptions& options);

  void add_document(std::string_view text);

  /// The vocabulary of all documents so far. It has fewer than vocab_size entries when no pair
  /// with minimum_count is left.
  [[nodiscard]] Vocabulary train() const;

  /// How many distinct words are known, and whether some were forgotten for lack of memory.
  [[nodiscard]] std::size_t distinct_words() const { return words_.size(); }
  [[nodiscard]] bool forgot_words() const { return forgot_words_; }

 private:
  void count_words(std::string_view text);
  void count_word(std::string_view word);
  void forget_rarest();

  BpeTrainerOptions options_;
  Splitter splitter_;
  PreTokenizer pre_tokenizer_;
  WordTable words_;
  std::vector<std::int64_t> counts_;  // by number in words_
  bool forgot_words_ = false;
};

}  // namespace troupe::data
