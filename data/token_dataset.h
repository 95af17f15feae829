#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "data/token_hashes.h"
#include "data/trained_spans.h"

namespace troupe::data {

/// Names of the files in a prepared corpus folder.
inline constexpr const char* kTrainFile = "train.h5";
inline constexpr const char* kHeldoutFile = "heldout.h5";
inline constexpr const char* kTokenizerFile = "tokenizer.json";

/// Version of the token files' layout: attribute `format_version`. Files that say which tokens are predicted
/// have another, so that no program reads them as if all were.
inline constexpr std::int64_t kTokenFormatVersion = 3;
inline constexpr std::int64_t kMaskedTokenFormatVersion = 4;
/// Files of preferences: the same, of pairs of documents.
inline constexpr std::int64_t kPairTokenFormatVersion = 5;
/// Files of text that say how its domains are mixed.
inline constexpr std::int64_t kWeightedTokenFormatVersion = 6;

inline constexpr std::int32_t kNoToken = -1;

/// What a token file says of itself besides the tokens.
struct TokenFileHeader {
  std::vector<std::string> domain_names;
  std::string tokenizer_hash;
  std::int64_t vocab_size = 0;
  std::int32_t end_of_text = 0;           // id that ends documents
  std::int32_t begin_of_text = kNoToken;  // id that begins them
  std::vector<std::int32_t>
      token_bytes;  // [vocab]: bytes of text that an entry stands for; 0 for special ones
  /// [documents + 1]: document d is the tokens [offsets[d], offsets[d + 1]), its frame included.
  std::vector<std::int64_t> document_offsets;
  std::vector<std::int32_t> document_domains;  // [documents], index into domain_names, non-decreasing
  TrainedSpans trained = {};                   // which tokens are predicted
  bool pairs = false;  // the documents 2 k and 2 k + 1 are the chosen and the rejected half of a preference
  /// [domains]: shares of the tokens that training draws, up to a factor; empty: by size. Of text only.
  std::vector<double> domain_weights = {};

  [[nodiscard]] std::int64_t format_version() const {
    if (pairs) return kPairTokenFormatVersion;
    if (!domain_weights.empty()) return kWeightedTokenFormatVersion;
    return trained.all() ? kTokenFormatVersion : kMaskedTokenFormatVersion;
  }
  bool operator==(const TokenFileHeader&) const = default;
};

/// Whether they are finite numbers ≥ 0, one a domain, and some of them above 0.
[[nodiscard]] bool check_weights(std::span<const double> weights, std::size_t domains);

/// A range of a token file's tokens.
struct TokenPiece {
  std::int64_t first = 0;
  std::int64_t count = 0;

  [[nodiscard]] std::int64_t end() const { return first + count; }
  bool operator==(const TokenPiece&) const = default;
};

/// A file of tokens on disk: one stream of documents, each `t1 … tn <eot>`, or `<bot> t1 … tn <eot>` where
/// begin_of_text is set, sorted by domain.
/// Tokens are read by pread at any position; nothing but the header and the chunks' hashes is held in memory.
/// Reading is thread-safe. Nothing in the file is believed: the header is checked against its hash when the
/// file is opened, tokens against their chunk's hash each time they are read; what is inconsistent is
/// kCorrupt.
class TokenDataset {
 public:
  /// Throws kConfig when the file is missing (naming the command that makes it), kCorrupt when it is damaged.
  explicit TokenDataset(const std::filesystem::path& file);

  [[nodiscard]] const TokenFileHeader& header() const { return header_; }
  [[nodiscard]] std::int64_t token_count() const { return header_.document_offsets.back(); }
  [[nodiscard]] std::int64_t document_count() const {
    return static_cast<std::int64_t>(header_.document_domains.size());
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Identity of all that the file holds: token_hashes.h.
  [[nodiscard]] const std::string& content_hash() const { return content_hash_; }
  /// Tokens of document 0 ≤ `number` < document_count().
  [[nodiscard]] TokenPiece document(std::int64_t number) const;
  /// Document that holds token 0 ≤ `position` < token_count().
  [[nodiscard]] std::int64_t document_at(std::int64_t position) const;

  /// tokens[i] = token first + i. Checks the range (kInternal), the hashes of the chunks that it touches and
  /// every id against the vocabulary (kCorrupt).
  void read(std::int64_t first, std::span<std::int32_t> tokens) const;

  /// Asks the system to have `count` tokens from `first` in memory soon, and does not wait. Same range check.
  void prefetch(std::int64_t first, std::int64_t count) const;

 private:
  void check_range(std::int64_t first, std::int64_t count) const;
  [[nodiscard]] std::int64_t chunk_size(std::int64_t chunk) const;
  void read_chunk(std::int64_t chunk, std::span<std::byte> bytes) const;

  std::filesystem::path path_;
  TokenFileHeader header_;
  std::vector<std::int64_t> chunk_hashes_;  // [chunks]
  std::string content_hash_;
  FileDescriptor file_;
  std::int64_t tokens_offset_ = 0;  // bytes into the file
  std::int64_t token_width_ = 0;    // bytes: 2 or 4
};

/// Throws kCorrupt unless both were made with the same tokenizer and domains: one preparation of one corpus.
void check_same_corpus(const TokenDataset& train, const TokenDataset& heldout);

}  // namespace troupe::data
