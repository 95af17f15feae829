#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace troupe::benchmarks {

/// How often tokens follow each other, and two interpolated bigram models of that: what a language
/// model has to beat to show that it uses more than the token before.
/// Both give every token of the vocabulary a probability above 0, and these sum to 1 for every context.
class BigramCounts {
 public:
  explicit BigramCounts(std::int64_t vocab_size);

  /// 0 ≤ previous, next < vocab_size.
  void add(std::int32_t previous, std::int32_t next);
  [[nodiscard]] std::int64_t total() const { return total_; }

  /// P(next | previous) interpolated by Witten and Bell (1991): a context's weight is its count against
  /// the number of different tokens that were seen after it; unigrams likewise with the uniform one.
  [[nodiscard]] double witten_bell(std::int32_t previous, std::int32_t next) const;

  /// P(next | previous) by interpolated Kneser-Ney (Chen and Goodman 1998): absolute discount
  /// n1 / (n1 + 2 n2), and unigrams by the number of different tokens before them.
  [[nodiscard]] double kneser_ney(std::int32_t previous, std::int32_t next) const;

 private:
  struct Context {
    std::int64_t count = 0;      // pairs that begin with it
    std::int64_t followers = 0;  // different ones
  };
  struct Token {
    std::int64_t count = 0;         // pairs that end with it
    std::int64_t predecessors = 0;  // different ones
  };
  /// How many things were counted once, and twice.
  struct CountsOfCounts {
    std::int64_t once = 0;
    std::int64_t twice = 0;
    void moved_to(std::int64_t count);
    [[nodiscard]] double discount() const;
  };

  [[nodiscard]] std::int64_t pair_count(std::int32_t previous, std::int32_t next) const;

  std::unordered_map<std::uint64_t, std::int64_t> pairs_;
  std::vector<Context> contexts_;  // [vocab]
  std::vector<Token> tokens_;      // [vocab]
  CountsOfCounts pair_counts_;
  CountsOfCounts predecessor_counts_;
  std::int64_t total_ = 0;
  std::int64_t seen_tokens_ = 0;  // different ones at the end of a pair
};

}  // namespace troupe::benchmarks
