#include "data/token_file_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/index.h"

namespace troupe::data {
namespace {

using storage::ElementType;
using storage::hdf5::Dataset;
using storage::hdf5::File;

constexpr std::int64_t kLargestNarrowVocab = 65536;

void check(const TokenFileHeader& header) {
  TROUPE_CHECK(!header.document_offsets.empty(), "offsets of documents");
  TROUPE_CHECK(header.document_domains.size() + 1 == header.document_offsets.size(),
               "one domain per document");
  TROUPE_CHECK(static_cast<std::int64_t>(header.token_bytes.size()) == header.vocab_size,
               "bytes of every entry");
  TROUPE_CHECK(check_spans(header.trained.borders(), header.document_offsets.back()),
               "spans of trained tokens");
  TROUPE_CHECK(!header.pairs || (!header.trained.all() && header.document_domains.size() % 2 == 0),
               "pairs of documents with spans of trained tokens");
  TROUPE_CHECK(
      header.domain_weights.empty() || (!header.pairs && header.trained.all() &&
                                        check_weights(header.domain_weights, header.domain_names.size())),
      "weights of the domains of text");
}

File create_file(const std::filesystem::path& path, const TokenFileHeader& header) {
  check(header);
  File file = File::create(path);
  file.set_attribute("/", "format_version", header.format_version());
  file.set_attribute("/", "vocab_size", header.vocab_size);
  file.set_attribute("/", "end_of_text", std::int64_t{header.end_of_text});
  file.set_attribute("/", "begin_of_text", std::int64_t{header.begin_of_text});
  file.set_attribute("/", "tokenizer_hash", header.tokenizer_hash);
  file.set_attribute("/", "domain_names", nlohmann::json(header.domain_names).dump());
  return file;
}

Dataset create_tokens(File& file, const TokenFileHeader& header) {
  const std::int64_t tokens = header.document_offsets.back();
  const ElementType type = stored_token_bytes(header.vocab_size) == 2 ? ElementType::kU16 : ElementType::kI32;
  return file.create_dataset("tokens", type, {&tokens, 1});
}

}  // namespace

std::int64_t stored_token_bytes(std::int64_t vocab_size) { return vocab_size > kLargestNarrowVocab ? 4 : 2; }

TokenFileWriter::TokenFileWriter(const std::filesystem::path& file, TokenFileHeader header)
    : header_(std::move(header)),
      width_(stored_token_bytes(header_.vocab_size)),
      file_(create_file(file, header_)),
      tokens_(create_tokens(file_, header_)) {}

void TokenFileWriter::append(std::span<const std::byte> stored_tokens) {
  const std::int64_t count = std::ssize(stored_tokens) / width_;
  TROUPE_CHECK(written_ + count <= header_.document_offsets.back(), "more tokens than the documents have");
  tokens_->write_bytes(written_, stored_tokens);
  written_ += count;
  const auto chunk_bytes = at(kHashedChunkTokens * width_);
  while (!stored_tokens.empty()) {
    const auto part = stored_tokens.first(std::min(chunk_bytes - chunk_.size(), stored_tokens.size()));
    chunk_.insert(chunk_.end(), part.begin(), part.end());
    stored_tokens = stored_tokens.subspan(part.size());
    if (chunk_.size() < chunk_bytes) break;
    hashes_.push_back(chunk_hash(chunk_));
    chunk_.clear();
  }
}

void TokenFileWriter::finish() {
  TROUPE_CHECK(written_ == header_.document_offsets.back(),
               "{} tokens do not end where the last document does", written_);
  if (!chunk_.empty()) hashes_.push_back(chunk_hash(chunk_));
  file_.write_dataset<std::int64_t>("document_offsets", header_.document_offsets);
  file_.write_dataset<std::int32_t>("document_domains", header_.document_domains);
  file_.write_dataset<std::int32_t>("token_bytes", header_.token_bytes);
  if (!header_.trained.all()) file_.write_dataset<std::int64_t>("trained_spans", header_.trained.borders());
  if (!header_.domain_weights.empty()) file_.write_dataset<double>("domain_weights", header_.domain_weights);
  file_.write_dataset<std::int64_t>("token_chunk_hashes", hashes_);
  file_.set_attribute("/", "content_hash", content_hash(header_, hashes_));
  tokens_.reset();
  file_.close();
}

void write_token_file(const std::filesystem::path& path, const TokenFileHeader& header,
                      std::span<const std::int32_t> tokens) {
  TROUPE_CHECK(
      std::ranges::all_of(tokens, [&](std::int32_t id) { return 0 <= id && id < header.vocab_size; }),
      "a token outside the vocabulary");
  TokenFileWriter writer(path, header);
  if (stored_token_bytes(header.vocab_size) == 2) {
    const std::vector<std::uint16_t> narrow(tokens.begin(), tokens.end());
    writer.append(std::as_bytes(std::span(narrow)));
  } else {
    writer.append(std::as_bytes(tokens));
  }
  writer.finish();
}

}  // namespace troupe::data
