#pragma once
#include <cstdint>

#include "data/token_dataset.h"

namespace troupe::data {

/// One domain's documents without end: epoch after epoch, in each all of them, in an order of the epoch's
/// own, which random numbers of (seed, kDataOrder) decide. The dataset outlives it. Thread-safe.
class DomainStream {
 public:
  /// The domain has at least one document.
  DomainStream(const TokenDataset& dataset, std::int32_t domain, std::uint64_t seed);

  [[nodiscard]] std::int32_t domain() const { return domain_; }
  /// Of an epoch.
  [[nodiscard]] std::int64_t documents() const { return documents_; }
  [[nodiscard]] std::int64_t tokens() const { return tokens_; }

  /// A border between two documents of the stream.
  struct Border {
    std::int64_t documents = 0;  // before it, counted from the stream's beginning
    std::int64_t tokens = 0;     // the same
    bool operator==(const Border&) const = default;
  };
  /// The first border at or after `token`. Takes time in proportion to the documents of an epoch.
  [[nodiscard]] Border border_from(std::int64_t token) const;

  /// The stream's document number `index`, as a number in the dataset.
  [[nodiscard]] std::int64_t document(std::int64_t index) const;

 private:
  const TokenDataset& dataset_;
  std::uint64_t seed_;
  std::int32_t domain_;
  std::int64_t first_document_ = 0;
  std::int64_t documents_ = 0;
  std::int64_t tokens_ = 0;
};

}  // namespace troupe::data
