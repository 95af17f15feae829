#include "data/tokenizer/bpe_trainer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "data/tokenizer/merge_learner.h"
#include "data/tokenizer/normaliser.h"

namespace troupe::data {
namespace {

constexpr int kSmallestVocabulary = 257;  // the bytes and `<|endoftext|>`
constexpr int kLargestVocabulary = 1 << 20;
constexpr std::size_t kLargestWordBytes = std::size_t{1} << 30;
// Longer words (data without spaces) are counted in pieces, so that one word cannot fill the memory.
constexpr std::size_t kLongestWord = 4096;

}  // namespace

BpeTrainer::BpeTrainer(const BpeTrainerOptions& options)
    : options_(options), splitter_(options.rules.splits) {
  if (options.vocab_size < kSmallestVocabulary || options.vocab_size > kLargestVocabulary) {
    throw Error(ErrorCode::kConfig, "a vocabulary of {} entries cannot be trained: choose {} to {}",
                options.vocab_size, kSmallestVocabulary, kLargestVocabulary);
  }
  if (options.minimum_count < 1) {
    throw Error(ErrorCode::kConfig, "minimum count {} of a pair: choose 1 or more", options.minimum_count);
  }
  if (options.word_bytes < 2 * kLongestWord || options.word_bytes > kLargestWordBytes) {
    throw Error(ErrorCode::kConfig, "{} bytes for distinct words: choose {} to {}", options.word_bytes,
                2 * kLongestWord, kLargestWordBytes);
  }
  if (options.begin_of_text == kEndOfText) {
    throw Error(ErrorCode::kConfig, "{} ends documents: what begins them has another name", kEndOfText);
  }
  auto& specials = options_.special_tokens;
  const bool more =
      !options.begin_of_text.empty() && std::ranges::find(specials, options.begin_of_text) == specials.end();
  if (more) specials.push_back(options.begin_of_text);
}

void BpeTrainer::add_document(std::string_view text) {
  const std::string normalised = options_.rules.compose ? normalise(text, options_.rules, true) : "";
  if (options_.rules.compose) text = normalised;
  if (options_.rules.splits.empty()) return count_words(text);
  splitter_.for_each_piece(text, [this](std::string_view piece) { count_words(piece); });
}

void BpeTrainer::count_words(std::string_view text) {
  const auto count = [this](std::string_view word) {
    for (std::size_t begin = 0; begin < word.size(); begin += kLongestWord) {
      count_word(word.substr(begin, kLongestWord));
    }
  };
  options_.rules.gpt2_pattern ? pre_tokenizer_.for_each_word(text, count) : count(text);
}

void BpeTrainer::count_word(std::string_view word) {
  const auto [number, inserted] = words_.find_or_insert(word, WordTable::hash(word));
  if (inserted) counts_.push_back(0);
  ++counts_[number];
  if (inserted && words_.byte_count() > options_.word_bytes) forget_rarest();
}

// Keeps the words of at least the lowest count at which they fill no more than half of the room.
void BpeTrainer::forget_rarest() {
  forgot_words_ = true;
  std::vector<std::pair<std::int64_t, std::size_t>> sizes;  // count, bytes
  for (std::uint32_t number = 0; number < words_.size(); ++number) {
    sizes.emplace_back(counts_[number], words_.word(number).size());
  }
  std::sort(sizes.begin(), sizes.end());
  std::size_t remaining = words_.byte_count();
  std::int64_t forgotten_count = 0;
  for (const auto& [count, bytes] : sizes) {
    if (remaining <= options_.word_bytes / 2 && count > forgotten_count) break;
    remaining -= bytes;
    forgotten_count = count;
  }
  WordTable kept;
  std::vector<std::int64_t> kept_counts;
  for (std::uint32_t number = 0; number < words_.size(); ++number) {
    if (counts_[number] <= forgotten_count) continue;
    kept.find_or_insert(words_.word(number), WordTable::hash(words_.word(number)));
    kept_counts.push_back(counts_[number]);
  }
  words_ = std::move(kept);
  counts_ = std::move(kept_counts);
}

Vocabulary BpeTrainer::train() const {
  MergeLearner learner(words_, counts_);
  const int specials = 1 + static_cast<int>(options_.special_tokens.size());
  while (learner.token_count() < options_.vocab_size - specials &&
         learner.merge_most_frequent(options_.minimum_count)) {
  }
  Vocabulary vocabulary = std::move(learner).vocabulary();
  vocabulary.specials = {{static_cast<TokenId>(vocabulary.tokens.size()), std::string(kEndOfText)}};
  for (const std::string& name : options_.special_tokens) {
    const auto id = static_cast<TokenId>(vocabulary.specials.back().id + 1);
    vocabulary.specials.push_back({id, name});
  }
  vocabulary.tokens.resize(vocabulary.tokens.size() + vocabulary.specials.size());
  vocabulary.begin_of_text = options_.begin_of_text;
  vocabulary.rules = options_.rules;
  return vocabulary;
}

}  // namespace troupe::data
