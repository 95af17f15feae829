#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/domain_stream.h"
#include "data/windows.h"

namespace troupe::data {

/// How much of a domain's stream a pass takes, on average.
struct DomainShare {
  DomainStream stream;
  double tokens_per_pass = 0.0;
};

/// The training text without end is a row of passes. A pass takes the next documents of each domain's stream,
/// whole ones, until the domain has had its share of all tokens so far (so that a share is met within one
/// document, for ever), and shuffles them together. Not thread-safe.
class DocumentPass {
 public:
  /// Pass number `number`. Takes time and memory in proportion to its documents.
  DocumentPass(const TokenDataset& dataset, std::span<const DomainShare> shares, std::uint64_t seed,
               std::int64_t number);

  [[nodiscard]] std::int64_t number() const { return number_; }
  /// Tokens of all passes before it, and with it.
  [[nodiscard]] std::int64_t begin() const { return begin_; }
  [[nodiscard]] std::int64_t end() const { return begin_ + (ends_.empty() ? 0 : ends_.back()); }
  [[nodiscard]] bool holds(std::int64_t token) const { return begin() <= token && token < end(); }

  /// Appends the pieces of the dataset that tokens [first, first + count) of the endless text are, as far as
  /// this pass goes. Returns how many tokens that is.
  std::int64_t append_pieces(std::int64_t first, std::int64_t count, std::vector<TokenPiece>& pieces) const;

 private:
  const TokenDataset* dataset_;
  std::int64_t number_;
  std::int64_t begin_ = 0;
  std::vector<std::int64_t> documents_;  // [documents of the pass], numbers in the dataset
  std::vector<std::int64_t> ends_;       // [the same], tokens of the pass up to a document's end
};

/// Where a domain's part of a pass begins in its stream.
[[nodiscard]] DomainStream::Border pass_border(const DomainShare& share, std::int64_t pass);
/// Tokens of the passes before `pass`.
[[nodiscard]] std::int64_t pass_begin(std::span<const DomainShare> shares, std::int64_t pass);

}  // namespace troupe::data
