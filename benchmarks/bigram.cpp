#include "benchmarks/bigram.h"

#include <algorithm>

#include "base/error.h"
#include "base/index.h"

namespace troupe::benchmarks {
namespace {

std::uint64_t pair_key(std::int32_t previous, std::int32_t next) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(previous)) << 32) |
         static_cast<std::uint32_t>(next);
}

double real(std::int64_t value) { return static_cast<double>(value); }

}  // namespace

void BigramCounts::CountsOfCounts::moved_to(std::int64_t count) {
  once += count == 1 ? 1 : (count == 2 ? -1 : 0);
  twice += count == 2 ? 1 : (count == 3 ? -1 : 0);
}

double BigramCounts::CountsOfCounts::discount() const {
  // Nothing was seen once in a text that is tiny or odd; then half a count is taken.
  return once == 0 ? 0.5 : real(once) / real(once + 2 * twice);
}

BigramCounts::BigramCounts(std::int64_t vocab_size) : contexts_(at(vocab_size)), tokens_(at(vocab_size)) {
  TROUPE_CHECK(vocab_size > 0, "a vocabulary of {}", vocab_size);
}

void BigramCounts::add(std::int32_t previous, std::int32_t next) {
  Context& context = contexts_.at(at(previous));
  Token& token = tokens_.at(at(next));
  const std::int64_t count = ++pairs_[pair_key(previous, next)];
  pair_counts_.moved_to(count);
  if (count == 1) {
    ++context.followers;
    predecessor_counts_.moved_to(++token.predecessors);
  }
  ++context.count;
  if (++token.count == 1) ++seen_tokens_;
  ++total_;
}

double BigramCounts::witten_bell(std::int32_t previous, std::int32_t next) const {
  const Context& context = contexts_.at(at(previous));
  const Token& token = tokens_.at(at(next));
  const double uniform = 1.0 / real(static_cast<std::int64_t>(tokens_.size()));
  const double unigram =
      total_ == 0 ? uniform
                  : (real(token.count) + real(seen_tokens_) * uniform) / real(total_ + seen_tokens_);
  if (context.count == 0) return unigram;
  return (real(pair_count(previous, next)) + real(context.followers) * unigram) /
         real(context.count + context.followers);
}

double BigramCounts::kneser_ney(std::int32_t previous, std::int32_t next) const {
  const Context& context = contexts_.at(at(previous));
  const Token& token = tokens_.at(at(next));
  const double uniform = 1.0 / real(static_cast<std::int64_t>(tokens_.size()));
  if (total_ == 0) return uniform;
  const auto different_pairs = static_cast<double>(pairs_.size());
  const double token_discount = predecessor_counts_.discount();
  const double unigram = (std::max(real(token.predecessors) - token_discount, 0.0) +
                          token_discount * real(seen_tokens_) * uniform) /
                         different_pairs;
  if (context.count == 0) return unigram;
  const double discount = pair_counts_.discount();
  return (std::max(real(pair_count(previous, next)) - discount, 0.0) +
          discount * real(context.followers) * unigram) /
         real(context.count);
}

std::int64_t BigramCounts::pair_count(std::int32_t previous, std::int32_t next) const {
  const auto found = pairs_.find(pair_key(previous, next));
  return found == pairs_.end() ? 0 : found->second;
}

}  // namespace troupe::benchmarks
