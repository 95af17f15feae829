#include "data/corpus_identity.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "storage/hash.h"

namespace troupe::data {

std::string CorpusIdentity::hash() const {
  const std::string all =
      fmt::format("{}\n{}\n{}\n{}\n{}\n", tokenizer, train, heldout, train_tokens, heldout_tokens);
  return storage::hash_bytes(std::as_bytes(std::span(all))).to_string();
}

CorpusIdentity identify_corpus(const std::filesystem::path& folder) {
  const TokenDataset train(folder / kTrainFile);
  const TokenDataset heldout(folder / kHeldoutFile);
  return identify_corpus(train, heldout);
}

CorpusIdentity identify_corpus(const TokenDataset& train, const TokenDataset& heldout) {
  check_same_corpus(train, heldout);
  return {.tokenizer = train.header().tokenizer_hash,
          .train = train.content_hash(),
          .heldout = heldout.content_hash(),
          .train_tokens = train.token_count(),
          .heldout_tokens = heldout.token_count()};
}

std::string difference(const CorpusIdentity& was, const CorpusIdentity& now) {
  std::vector<std::string> changes;
  if (was.tokenizer != now.tokenizer) changes.emplace_back("the tokenizer");
  if (was.train != now.train) {
    changes.push_back(
        fmt::format("the training text ({} tokens, now {})", was.train_tokens, now.train_tokens));
  }
  if (was.heldout != now.heldout) {
    changes.push_back(
        fmt::format("the held-out text ({} tokens, now {})", was.heldout_tokens, now.heldout_tokens));
  }
  return fmt::format("{}", fmt::join(changes, ", "));
}

}  // namespace troupe::data
