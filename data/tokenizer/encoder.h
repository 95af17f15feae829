#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/tokenizer/added_tokens.h"
#include "data/tokenizer/pre_tokenizer.h"
#include "data/tokenizer/splitter.h"
#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/word_merger.h"
#include "data/tokenizer/word_table.h"

namespace troupe::data {

/// Encodes many texts with one tokenizer and remembers the tokens of short words (at most
/// about 20 MB). What it remembers never changes a result.
/// Not thread-safe: one per thread. The tokenizer must outlive it.
class Encoder {
 public:
  explicit Encoder(const Tokenizer& tokenizer, SpecialNames names = SpecialNames::kAreText);

  /// Appends the tokens of `text`. Time is n log n at worst, also without a single space.
  void encode(std::string_view text, std::vector<TokenId>& tokens);

 private:
  struct Remembered {
    std::uint32_t begin = 0;  // in remembered_tokens_
    std::uint32_t count = 0;
  };
  void encode_piece(std::string_view text, bool first, std::vector<TokenId>& tokens);
  void encode_normalised(std::string_view text, std::vector<TokenId>& tokens);
  void encode_word(std::string_view word, std::vector<TokenId>& tokens);
  void merge(std::string_view word, std::vector<TokenId>& tokens);
  void remember(std::string_view word, std::uint64_t word_hash, const std::vector<TokenId>& tokens,
                std::size_t first);

  const Tokenizer& tokenizer_;
  AddedTokens added_;             // found in the text as it is
  AddedTokens normalised_added_;  // found after it was normalised
  Splitter splitter_;
  PreTokenizer pre_tokenizer_;
  WordMerger merger_;
  WordTable words_;
  std::vector<Remembered> remembered_;  // by number in words_
  std::vector<TokenId> remembered_tokens_;
};

}  // namespace troupe::data
