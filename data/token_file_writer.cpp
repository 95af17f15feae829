#include "data/token_file_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "storage/hdf5/file.h"

namespace troupe::data {
namespace {

using storage::hdf5::File;

constexpr std::int64_t kLargestNarrowVocab = 65536;

void check(const TokenFileHeader& header, std::span<const std::int32_t> tokens) {
  TROUPE_CHECK(!header.document_offsets.empty() &&
                   header.document_offsets.back() == static_cast<std::int64_t>(tokens.size()),
               "{} tokens do not end where the last document does", tokens.size());
  TROUPE_CHECK(header.document_domains.size() + 1 == header.document_offsets.size(),
               "one domain per document");
  TROUPE_CHECK(static_cast<std::int64_t>(header.token_bytes.size()) == header.vocab_size,
               "bytes of every entry");
  TROUPE_CHECK(
      std::ranges::all_of(tokens, [&](std::int32_t id) { return 0 <= id && id < header.vocab_size; }),
      "a token outside the vocabulary");
}

/// Returns the chunks' hashes.
template <storage::Element Stored>
std::vector<std::int64_t> write_tokens(File& file, std::span<const Stored> tokens) {
  file.write_dataset<Stored>("tokens", tokens);
  return chunk_hashes(std::as_bytes(tokens), sizeof(Stored));
}

std::vector<std::int64_t> write_tokens(File& file, std::int64_t vocab_size,
                                       std::span<const std::int32_t> tokens) {
  if (vocab_size > kLargestNarrowVocab) return write_tokens<std::int32_t>(file, tokens);
  const std::vector<std::uint16_t> narrow(tokens.begin(), tokens.end());
  return write_tokens<std::uint16_t>(file, narrow);
}

}  // namespace

void write_token_file(const std::filesystem::path& path, const TokenFileHeader& header,
                      std::span<const std::int32_t> tokens) {
  check(header, tokens);
  File file = File::create(path);
  file.set_attribute("/", "format_version", kTokenFormatVersion);
  file.set_attribute("/", "vocab_size", header.vocab_size);
  file.set_attribute("/", "end_of_text", std::int64_t{header.end_of_text});
  file.set_attribute("/", "begin_of_text", std::int64_t{header.begin_of_text});
  file.set_attribute("/", "tokenizer_hash", header.tokenizer_hash);
  file.set_attribute("/", "domain_names", nlohmann::json(header.domain_names).dump());
  const std::vector<std::int64_t> hashes = write_tokens(file, header.vocab_size, tokens);
  file.write_dataset<std::int64_t>("document_offsets", header.document_offsets);
  file.write_dataset<std::int32_t>("document_domains", header.document_domains);
  file.write_dataset<std::int32_t>("token_bytes", header.token_bytes);
  file.write_dataset<std::int64_t>("token_chunk_hashes", hashes);
  file.set_attribute("/", "content_hash", content_hash(header, hashes));
  file.close();
}

}  // namespace troupe::data
