#include "data/tokenizer/merge_learner.h"

#include <array>
#include <utility>

#include "data/tokenizer/byte_alphabet.h"

namespace troupe::data {
namespace {

TokenId left_of(std::uint64_t key) { return static_cast<TokenId>(key >> 32); }
TokenId right_of(std::uint64_t key) { return static_cast<TokenId>(key & 0xFFFFFFFFU); }

}  // namespace

MergeLearner::MergeLearner(const WordTable& words, std::span<const std::int64_t> counts)
    : counts_(counts.begin(), counts.end()) {
  for (const std::uint8_t byte : bytes_in_alphabet_order()) {
    tokens_.emplace_back(1, static_cast<char>(byte));
    lengths_.push_back(1);
  }
  lay_out(words, counts);
  count_pairs();
}

// An empty place stands before the first word and after every word.
void MergeLearner::lay_out(const WordTable& words, std::span<const std::int64_t> counts) {
  std::array<TokenId, 256> byte_tokens{};
  for (TokenId id = 0; id < 256; ++id)
    byte_tokens[bytes_in_alphabet_order()[static_cast<std::size_t>(id)]] = id;
  const std::size_t places = words.byte_count() + words.size() + 1;
  token_at_.assign(places, kNoToken);
  begin_of_.assign(places, kNoPlace);
  word_at_.assign(places, 0);
  Place place = 1;
  for (std::uint32_t number = 0; number < counts.size(); ++number, ++place) {
    for (const char byte : words.word(number)) {
      token_at_[place] = byte_tokens[static_cast<unsigned char>(byte)];
      begin_of_[place] = place;
      word_at_[place] = number;
      ++place;
    }
  }
}

void MergeLearner::count_pairs() {
  for (Place place = 1; place + 1 < token_at_.size(); ++place) {
    if (token_at_[place] == kNoToken || token_at_[place + 1] == kNoToken) continue;
    add_pair(place, token_at_[place], token_at_[place + 1], counts_[word_at_[place]]);
  }
  propose_from(0);
}

MergeLearner::Place MergeLearner::next_of(Place place) const {
  return place + lengths_[static_cast<std::size_t>(token_at_[place])];
}

MergeLearner::Place MergeLearner::previous_of(Place place) const { return begin_of_[place - 1]; }

MergeLearner::Pair& MergeLearner::pair_of(TokenId left, TokenId right) {
  const std::uint64_t key = pair_key(left, right);
  const auto [number, inserted] =
      pair_numbers_.find_or_insert(key, static_cast<std::uint32_t>(pairs_.size()));
  if (inserted) pairs_.push_back({key, 0, {}});
  return pairs_[number];
}

void MergeLearner::add_pair(Place place, TokenId left, TokenId right, std::int64_t count) {
  Pair& pair = pair_of(left, right);
  pair.count += count;
  pair.places.push_back(place);
}

void MergeLearner::propose_from(std::size_t first_pair) {
  for (std::size_t i = first_pair; i < pairs_.size(); ++i) candidates_.push({pairs_[i].count, pairs_[i].key});
}

bool MergeLearner::merge_most_frequent(std::int64_t minimum_count) {
  while (!candidates_.empty()) {
    const Candidate candidate = candidates_.top();
    if (candidate.count < minimum_count) return false;
    candidates_.pop();
    const std::int64_t count = pair_of(left_of(candidate.key), right_of(candidate.key)).count;
    if (count == candidate.count) {
      merge_everywhere(candidate.key);
      return true;
    }
    candidates_.push({count, candidate.key});
  }
  return false;
}

// Left to right: of "aaa" the first two merge.
void MergeLearner::merge_everywhere(std::uint64_t key) {
  const TokenId left = left_of(key);
  const TokenId right = right_of(key);
  const TokenId result = token_count();
  tokens_.push_back(tokens_[static_cast<std::size_t>(left)] + tokens_[static_cast<std::size_t>(right)]);
  lengths_.push_back(static_cast<std::uint32_t>(tokens_.back().size()));
  merges_.push_back({left, right, result});

  const std::size_t first_new_pair = pairs_.size();
  for (const Place place : std::exchange(pair_of(left, right).places, {})) {
    if (token_at_[place] != left) continue;
    const Place right_place = next_of(place);
    if (token_at_[right_place] == right) merge_at(place, right_place, result);
  }
  propose_from(first_new_pair);
}

void MergeLearner::merge_at(Place place, Place right_place, TokenId result) {
  const TokenId left = token_at_[place];
  const TokenId right = token_at_[right_place];
  const Place previous = previous_of(place);
  const Place next = next_of(right_place);
  const std::int64_t count = counts_[word_at_[place]];

  pair_of(left, right).count -= count;
  token_at_[place] = result;
  token_at_[right_place] = kNoToken;
  begin_of_[next - 1] = place;
  if (previous != kNoPlace) {
    pair_of(token_at_[previous], left).count -= count;
    add_pair(previous, token_at_[previous], result, count);
  }
  if (token_at_[next] != kNoToken) {
    pair_of(right, token_at_[next]).count -= count;
    add_pair(place, result, token_at_[next], count);
  }
}

Vocabulary MergeLearner::vocabulary() && {
  Vocabulary result;
  result.tokens = std::move(tokens_);
  result.merges = std::move(merges_);
  return result;
}

}  // namespace troupe::data
