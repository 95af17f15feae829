#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "data/chat/chat_encoder.h"
#include "data/corpus/document.h"
#include "data/sources/document_parser.h"
#include "data/tokenizer/encoder.h"

namespace troupe::data {

/// A document in the form that a token file stores, without what frames it.
struct EncodedDocument {
  ContentHash hash = {};  // of its text, or of its ids
  std::string domain;
  std::string place;
  std::size_t begin = 0;  // in the batch's tokens
  std::size_t count = 0;
  std::int64_t bytes = 0;                  // of text
  std::vector<std::uint64_t> bands = {};   // of near_duplicates.h; empty: not asked for
  std::vector<std::int64_t> trained = {};  // of a chat: spans as ChatEncoder gives them
  std::size_t rejected = 0;                // of a preference: tokens of its second half, the last of `count`
  std::vector<std::int64_t> trained_of_rejected = {};  // as trained, counted from that half's first token
};

struct EncodedBatch {
  std::vector<TokenId> tokens;
  std::vector<EncodedDocument> documents;
  FaultCounts faults;
  InputPosition end;
};

/// Encodes batches on any number of threads at once.
class DocumentEncoder {
 public:
  /// Throws kConfig for a tokenizer without the chat template's special tokens.
  DocumentEncoder(const Tokenizer& tokenizer, ParseOptions options, double near_duplicates);

  [[nodiscard]] EncodedBatch encode(const RawBatch& batch);

 private:
  [[nodiscard]] std::unique_ptr<Encoder> take_encoder();
  void give_back(std::unique_ptr<Encoder> encoder);
  void encode_document(const ParsedDocument& document, Encoder& encoder, EncodedBatch& batch) const;
  [[nodiscard]] bool known_ids(std::span<const std::int32_t> tokens) const;

  const Tokenizer& tokenizer_;
  ParseOptions options_;
  std::optional<ChatEncoder> chat_;
  double near_duplicates_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Encoder>> free_;  // encoders remember words: they are kept between batches
};

}  // namespace troupe::data
