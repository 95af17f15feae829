#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "data/token_dataset.h"

namespace troupe::data {

/// Which corpus a folder holds: what is in its files, not where it lies or how it is called. Two folders with
/// equal identities train and evaluate a model alike.
struct CorpusIdentity {
  std::string tokenizer;  // hash of the tokenizer that made the tokens
  std::string train;      // content hash of train.h5
  std::string heldout;    // content hash of heldout.h5
  std::int64_t train_tokens = 0;
  std::int64_t heldout_tokens = 0;

  /// 32 hexadecimal digits over all of it.
  [[nodiscard]] std::string hash() const;
  bool operator==(const CorpusIdentity&) const = default;
};

/// Reads the files' headers, not their tokens, so it takes no longer than opening them. Throws kConfig when
/// there is no corpus, kCorrupt when it is damaged.
[[nodiscard]] CorpusIdentity identify_corpus(const std::filesystem::path& folder);
[[nodiscard]] CorpusIdentity identify_corpus(const TokenDataset& train, const TokenDataset& heldout);

/// What is other in `now` than it was, for a message: "the training text (1200 tokens, now 1300)"; empty when
/// they are equal.
[[nodiscard]] std::string difference(const CorpusIdentity& was, const CorpusIdentity& now);

}  // namespace troupe::data
