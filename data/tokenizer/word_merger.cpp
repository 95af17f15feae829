#include "data/tokenizer/word_merger.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "base/error.h"
#include "base/index.h"

namespace troupe::data {
namespace {

constexpr std::size_t kLongestScan = 48;  // bytes
constexpr MergeRule kNoRule{std::numeric_limits<std::int32_t>::max(), 0};

MergeRule rule_of(const Tokenizer& tokenizer, TokenId left, TokenId right) {
  const MergeRule* rule = tokenizer.merge_rule(left, right);
  return rule != nullptr ? *rule : kNoRule;
}

}  // namespace

void WordMerger::merge(std::string_view word, std::vector<TokenId>& tokens) {
  if (word.size() <= kLongestScan) {
    merge_by_scan(word, tokens);
  } else {
    merge_by_heap(word, tokens);
  }
}

void WordMerger::merge_by_scan(std::string_view word, std::vector<TokenId>& tokens) {
  const std::size_t first = tokens.size();
  append_smallest(word, tokens);
  rules_.clear();
  for (std::size_t i = first; i + 1 < tokens.size(); ++i) {
    rules_.push_back(rule_of(tokenizer_, tokens[i], tokens[i + 1]));
  }
  const auto lower = [](const MergeRule& a, const MergeRule& b) { return a.rank < b.rank; };
  while (!rules_.empty()) {
    const auto best = std::min_element(rules_.begin(), rules_.end(), lower);
    if (best->rank == kNoRule.rank) break;
    const auto index = best - rules_.begin();
    const auto left = tokens.begin() + static_cast<std::ptrdiff_t>(first) + index;
    *left = best->result;
    tokens.erase(left + 1);
    rules_.erase(best);
    if (index > 0) rules_[at(index) - 1] = rule_of(tokenizer_, left[-1], *left);
    if (left + 1 != tokens.end()) rules_[at(index)] = rule_of(tokenizer_, *left, left[1]);
  }
}

void WordMerger::merge_by_heap(std::string_view word, std::vector<TokenId>& tokens) {
  TROUPE_CHECK(word.size() < kNone, "a word of {} bytes is too long to encode", word.size());
  start_symbols(word);
  while (!candidates_.empty()) {
    const Candidate candidate = candidates_.top();
    candidates_.pop();
    apply(candidate);
  }
  for (std::uint32_t i = symbols_.empty() ? kNone : 0; i != kNone; i = symbols_[i].next) {
    tokens.push_back(symbols_[i].token);
  }
}

void WordMerger::append_smallest(std::string_view word, std::vector<TokenId>& tokens) const {
  const auto append_bytes = [&](std::string_view bytes) {
    for (const char byte : bytes) tokens.push_back(tokenizer_.byte_token(static_cast<std::uint8_t>(byte)));
  };
  if (!tokenizer_.rules().byte_fallback) return append_bytes(word);
  while (!word.empty()) {
    const std::string_view character = word.substr(0, reader_.at(word, 0).bytes);
    const TokenId token = tokenizer_.token_of(character);
    if (token >= 0) {
      tokens.push_back(token);
    } else {
      append_bytes(character);
    }
    word.remove_prefix(character.size());
  }
}

void WordMerger::start_symbols(std::string_view word) {
  smallest_.clear();
  append_smallest(word, smallest_);
  const auto count = static_cast<std::uint32_t>(smallest_.size());
  symbols_.resize(count);
  for (std::uint32_t i = 0; i < count; ++i)
    symbols_[i] = {smallest_[i], i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
  for (std::uint32_t i = 0; i < count; ++i) propose(i);
}

void WordMerger::propose(std::uint32_t left) {
  if (left == kNone || symbols_[left].next == kNone) return;
  const MergeRule* rule = tokenizer_.merge_rule(symbols_[left].token, symbols_[symbols_[left].next].token);
  if (rule != nullptr) candidates_.push({rule->rank, left});
}

// A candidate is stale when its symbols have changed since; then the pair there has another rank, or none.
void WordMerger::apply(const Candidate& candidate) {
  Symbol& left = symbols_[candidate.left];
  if (left.token < 0 || left.next == kNone) return;
  const std::uint32_t right = left.next;
  const MergeRule* rule = tokenizer_.merge_rule(left.token, symbols_[right].token);
  if (rule == nullptr || rule->rank != candidate.rank) return;
  left.token = rule->result;
  left.next = symbols_[right].next;
  symbols_[right].token = -1;
  if (left.next != kNone) symbols_[left.next].previous = candidate.left;
  propose(left.previous);
  propose(candidate.left);
}

}  // namespace troupe::data
