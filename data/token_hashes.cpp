#include "data/token_hashes.h"

#include <algorithm>
#include <bit>

#include "base/index.h"
#include "data/token_dataset.h"
#include "storage/hash.h"

namespace troupe::data {
namespace {

/// Every part is preceded by its length, so that no two contents give the same bytes.
class ContentHasher {
 public:
  void add(std::int64_t value) { hasher_.update(std::as_bytes(std::span(&value, 1))); }

  template <class T>
  void add(std::span<const T> values) {
    add(static_cast<std::int64_t>(values.size()));
    hasher_.update(std::as_bytes(values));
  }

  void add(const std::string& text) { add(std::span(text.data(), text.size())); }

  [[nodiscard]] std::string finish() const { return hasher_.finish().to_string(); }

 private:
  storage::Hasher hasher_;
};

}  // namespace

std::int64_t chunk_hash(std::span<const std::byte> stored_tokens) {
  return std::bit_cast<std::int64_t>(storage::hash_bytes(stored_tokens).low);
}

std::vector<std::int64_t> chunk_hashes(std::span<const std::byte> stored_tokens, std::int64_t width_bytes) {
  const auto chunk_bytes = at(kHashedChunkTokens * width_bytes);
  std::vector<std::int64_t> hashes;
  while (!stored_tokens.empty()) {
    const auto chunk = stored_tokens.first(std::min(chunk_bytes, stored_tokens.size()));
    hashes.push_back(chunk_hash(chunk));
    stored_tokens = stored_tokens.subspan(chunk.size());
  }
  return hashes;
}

std::string content_hash(const TokenFileHeader& header, std::span<const std::int64_t> chunk_hashes) {
  ContentHasher hasher;
  hasher.add(header.format_version());
  hasher.add(static_cast<std::int64_t>(header.domain_names.size()));
  for (const std::string& name : header.domain_names) hasher.add(name);
  hasher.add(header.tokenizer_hash);
  hasher.add(header.vocab_size);
  hasher.add(std::int64_t{header.end_of_text});
  hasher.add(std::int64_t{header.begin_of_text});
  hasher.add(std::span<const std::int32_t>(header.token_bytes));
  hasher.add(std::span<const std::int64_t>(header.document_offsets));
  hasher.add(std::span<const std::int32_t>(header.document_domains));
  hasher.add(chunk_hashes);
  if (!header.trained.all()) hasher.add(std::span<const std::int64_t>(header.trained.borders()));
  if (!header.domain_weights.empty()) hasher.add(std::span<const double>(header.domain_weights));
  return hasher.finish();
}

}  // namespace troupe::data
