#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/corpus/document.h"
#include "data/tokenizer/tokenizer.h"

namespace troupe::data {

/// A stream of documents: `t1 … tn <eot>` each, after the begin of text if the tokenizer has one.
struct EncodedDocuments {
  std::vector<std::int32_t> tokens;
  std::vector<std::int64_t> offsets;  // [documents + 1]
  std::vector<std::int32_t> domains;  // [documents]
};

/// Encodes the documents in their order, on `threads` threads; the result does not depend on how many.
[[nodiscard]] EncodedDocuments encode_documents(const Tokenizer& tokenizer,
                                                std::span<const Document> documents, int threads);

}  // namespace troupe::data
