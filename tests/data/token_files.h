#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "data/token_dataset.h"
#include "data/token_file_writer.h"

namespace troupe::data {

/// Domain and number of text tokens (without the end of text) of a document.
struct TestDocument {
  std::int32_t domain = 0;
  std::int64_t text_tokens = 0;
};

struct TestStream {
  TokenFileHeader header;
  std::vector<std::int32_t> tokens;
};

/// A stream in which every text token's id tells its place: 1 + position % (vocab - 1). Id 0 is <eot>.
inline TestStream make_stream(const std::vector<TestDocument>& documents, std::int32_t domains,
                              std::int64_t vocab) {
  TestStream stream;
  for (std::int32_t domain = 0; domain < domains; ++domain)
    stream.header.domain_names.push_back("d" + std::to_string(domain));
  stream.header.tokenizer_hash = "0123456789abcdef";
  stream.header.vocab_size = vocab;
  stream.header.token_bytes.assign(static_cast<std::size_t>(vocab), 1);
  stream.header.token_bytes[0] = 0;
  stream.header.document_offsets.push_back(0);
  for (const TestDocument& document : documents) {
    for (std::int64_t i = 0; i < document.text_tokens; ++i) {
      const auto position = static_cast<std::int64_t>(stream.tokens.size());
      stream.tokens.push_back(static_cast<std::int32_t>(1 + position % (vocab - 1)));
    }
    stream.tokens.push_back(0);
    stream.header.document_offsets.push_back(static_cast<std::int64_t>(stream.tokens.size()));
    stream.header.document_domains.push_back(document.domain);
  }
  return stream;
}

inline TokenDataset make_dataset(const std::filesystem::path& file, const TestStream& stream) {
  write_token_file(file, stream.header, stream.tokens);
  return TokenDataset(file);
}

}  // namespace troupe::data
