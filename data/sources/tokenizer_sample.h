#pragma once
#include <cstdint>
#include <map>
#include <queue>
#include <string>
#include <vector>

#include "data/corpus/document.h"
#include "data/tokenizer/bpe_trainer.h"

namespace troupe::data {

/// A sample of text to train a tokenizer on: of every domain the documents with the smallest hashes, as many
/// bytes of each domain. A function of the set of documents, not of their order; memory is bounded by the
/// bytes asked for, times the domains.
class TokenizerSample {
 public:
  explicit TokenizerSample(std::int64_t bytes) : bytes_(bytes) {}

  void add(const std::string& domain, std::string_view text);

  [[nodiscard]] bool empty() const { return domains_.empty(); }
  /// In an order that depends on the texts alone; of all domains together about the bytes asked for.
  [[nodiscard]] std::vector<std::string> take();

 private:
  struct Text {
    ContentHash hash;
    std::string text;
    bool operator<(const Text& other) const { return hash < other.hash; }
  };
  struct Domain {
    std::priority_queue<Text> texts;  // the largest hash on top
    std::int64_t bytes = 0;
    /// Keeps as little as holds `limit` bytes.
    void trim(std::int64_t limit);
  };

  std::int64_t bytes_;
  std::map<std::string, Domain> domains_;
};

}  // namespace troupe::data
