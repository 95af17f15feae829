#include "data/corpus/encode.h"

#include <future>

#include "base/error.h"
#include "base/index.h"
#include "data/tokenizer/encoder.h"

namespace troupe::data {
namespace {

EncodedDocuments encode_part(const Tokenizer& tokenizer, std::span<const Document> documents) {
  Encoder encoder(tokenizer);
  EncodedDocuments part;
  for (const Document& document : documents) {
    if (tokenizer.begin_of_text()) part.tokens.push_back(*tokenizer.begin_of_text());
    if (document.tokens.empty()) {
      encoder.encode(document.text, part.tokens);
    } else {
      part.tokens.insert(part.tokens.end(), document.tokens.begin(), document.tokens.end());
    }
    part.tokens.push_back(tokenizer.end_of_text());
    part.offsets.push_back(static_cast<std::int64_t>(part.tokens.size()));
    part.domains.push_back(document.domain);
  }
  return part;
}

void append(const EncodedDocuments& part, EncodedDocuments& whole) {
  const auto before = static_cast<std::int64_t>(whole.tokens.size());
  for (const std::int64_t offset : part.offsets) whole.offsets.push_back(before + offset);
  whole.tokens.insert(whole.tokens.end(), part.tokens.begin(), part.tokens.end());
  whole.domains.insert(whole.domains.end(), part.domains.begin(), part.domains.end());
}

}  // namespace

EncodedDocuments encode_documents(const Tokenizer& tokenizer, std::span<const Document> documents,
                                  int threads) {
  TROUPE_CHECK(threads > 0, "{} threads", threads);
  const auto parts = at(threads);
  std::vector<std::future<EncodedDocuments>> futures;
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t begin = documents.size() * part / parts;
    const std::size_t end = documents.size() * (part + 1) / parts;
    futures.push_back(std::async(std::launch::async, encode_part, std::cref(tokenizer),
                                 documents.subspan(begin, end - begin)));
  }
  EncodedDocuments whole;
  whole.offsets.push_back(0);
  for (auto& future : futures) append(future.get(), whole);
  return whole;
}

}  // namespace troupe::data
