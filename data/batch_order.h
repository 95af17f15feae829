#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "data/document_pass.h"
#include "data/options.h"
#include "data/windows.h"

namespace troupe::data {

/// How much of a domain a run has seen.
struct SeenText {
  std::int64_t epoch_tokens = 0;  // the domain's text, once
  std::int64_t tokens = 0;
};

/// The order of training data: global sequence number → text, for ever. Documents of all domains are shuffled
/// together (document_pass.h) and put one behind the other without end; sequence after sequence is cut off,
/// so that a sequence holds documents of several domains and no token is lost; and the sequences that begin
/// in one pass are permuted, so that a long document does not fill a batch. Everything follows from random
/// numbers of (seed, kDataOrder): it is the same for every layout, and any place is reached without walking
/// there.
///
/// Without weights a pass has every document once: an epoch. With weights a domain has exactly its share of
/// all tokens, within one document, and walks through epochs of its own. A domain without a weight is left
/// out. Thread-safe. The dataset outlives it.
class BatchOrder final : public SequenceOrder {
 public:
  /// weights: domain → weight ≥ 0; empty: those of the corpus, or by size where it has none.
  /// Throws kConfig for an unknown domain, a domain without text, weights that are all zero, or a dataset
  /// shorter than one sequence.
  BatchOrder(const TokenDataset& dataset, std::int64_t length, std::uint64_t seed,
             const std::map<std::string, double>& weights = {});

  void append_pieces(std::int64_t number, std::vector<TokenPiece>& pieces) const override;

  /// Throws kConfig when a domain's weight is so small that a run of so many sequences would see less than
  /// one of its documents: the weight cannot be met. Without weights nothing is asked.
  void require_reach(std::int64_t sequences) const;

  /// [domains]: what the sequences [0, count) begin with or go on from, each token counted where it is an
  /// input. Takes the time of going through the sequences of one pass.
  [[nodiscard]] std::vector<SeenText> seen(std::int64_t count) const;

 private:
  [[nodiscard]] std::int64_t pass_of(std::int64_t token) const;
  const DocumentPass& pass_at(std::int64_t token) const;
  void append(std::int64_t number, std::int64_t tokens, std::vector<TokenPiece>& pieces) const;

  const TokenDataset& dataset_;
  std::int64_t length_;
  std::uint64_t seed_;
  std::vector<DomainShare> shares_;
  bool weighted_ = false;
  double tokens_per_pass_ = 0.0;
  mutable std::mutex mutex_;
  mutable std::vector<DocumentPass> passes_;  // the latest that were asked for
};

/// What decides, besides corpus and seed, which text every sequence of a run is: equal texts, equal order.
[[nodiscard]] std::string order_of(const DataOptions& options);

}  // namespace troupe::data
