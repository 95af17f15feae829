#include "data/tokenizer/merge_learner.h"

#include <array>
#include <utility>

#include "base/index.h"
#include "data/tokenizer/byte_alphabet.h"

namespace troupe::data {
namespace {

TokenId left_of(std::uint64_t key) { return static_cast<TokenId>(key >> 32); }
TokenId right_of(std::uint64_t key) { return static_cast<TokenId>(key & 0xFFFFFFFFU); }

}  // namespace

MergeLearner::MergeLearner(const WordTable& words, std::span<const std::int64_t> counts) {
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
  for (TokenId id = 0; id < 256; ++id) byte_tokens[bytes_in_alphabet_order()[at(id)]] = id;
  spots_.resize(words.byte_count() + words.size() + 1);
  Place place = 1;
  for (std::uint32_t number = 0; number < counts.size(); ++number, ++place) {
    for (const char byte : words.word(number)) {
      spots_[place] = {byte_tokens[static_cast<unsigned char>(byte)], place, counts[number]};
      ++place;
    }
  }
}

void MergeLearner::count_pairs() {
  for (Place place = 1; place + 1 < spots_.size(); ++place) {
    const Spot& left = spots_[place];
    const Spot& right = spots_[place + 1];
    if (left.token == kNoToken || right.token == kNoToken) continue;
    add_pair(place, left.token, right.token, left.count);
  }
  propose_from(0);
}

MergeLearner::Place MergeLearner::next_of(Place place) const {
  return place + lengths_[at(spots_[place].token)];
}

MergeLearner::Place MergeLearner::previous_of(Place place) const { return spots_[place - 1].begin; }

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
  tokens_.push_back(tokens_[at(left)] + tokens_[at(right)]);
  lengths_.push_back(static_cast<std::uint32_t>(tokens_.back().size()));
  merges_.push_back({left, right, result});

  const std::size_t first_new_pair = pairs_.size();
  for (const Place place : std::exchange(pair_of(left, right).places, {})) {
    if (spots_[place].token != left) continue;
    const Place right_place = next_of(place);
    if (spots_[right_place].token == right) merge_at(place, right_place, result);
  }
  pair_of(left, right).count = 0;
  propose_from(first_new_pair);
}

void MergeLearner::merge_at(Place place, Place right_place, TokenId result) {
  const TokenId left = spots_[place].token;
  const TokenId right = spots_[right_place].token;
  const Place previous = previous_of(place);
  const Place next = next_of(right_place);
  const std::int64_t count = spots_[place].count;

  spots_[place].token = result;
  spots_[right_place].token = kNoToken;
  spots_[next - 1].begin = place;
  if (previous != kNoPlace) {
    const TokenId before = spots_[previous].token;
    pair_of(before, left).count -= count;
    add_pair(previous, before, result, count);
  }
  if (const TokenId after = spots_[next].token; after != kNoToken) {
    pair_of(right, after).count -= count;
    add_pair(place, result, after, count);
  }
}

Vocabulary MergeLearner::vocabulary() && {
  Vocabulary result;
  result.tokens = std::move(tokens_);
  result.merges = std::move(merges_);
  return result;
}

}  // namespace troupe::data
