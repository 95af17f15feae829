#include "data/sources/document_encoder.h"

#include <algorithm>

#include "data/sources/near_duplicates.h"

namespace troupe::data {
namespace {

/// Tells conversations apart whose texts are equal, but not what is trained of them.
std::string with_borders(const std::vector<ChatPiece>& pieces) {
  std::string text;
  for (const ChatPiece& piece : pieces) {
    text += piece.text;
    text += piece.trained ? '\2' : '\1';
  }
  return text;
}

}  // namespace

DocumentEncoder::DocumentEncoder(const Tokenizer& tokenizer, ParseOptions options, double near_duplicates)
    : tokenizer_(tokenizer), options_(std::move(options)), near_duplicates_(near_duplicates) {
  if (options_.chat) chat_.emplace(*options_.chat, tokenizer);
}

std::unique_ptr<Encoder> DocumentEncoder::take_encoder() {
  const std::scoped_lock lock(mutex_);
  if (free_.empty()) return std::make_unique<Encoder>(tokenizer_);
  auto encoder = std::move(free_.back());
  free_.pop_back();
  return encoder;
}

void DocumentEncoder::give_back(std::unique_ptr<Encoder> encoder) {
  const std::scoped_lock lock(mutex_);
  free_.push_back(std::move(encoder));
}

bool DocumentEncoder::known_ids(std::span<const std::int32_t> tokens) const {
  return std::ranges::all_of(tokens,
                             [&](std::int32_t id) { return 0 <= id && id < tokenizer_.vocab_size(); });
}

void DocumentEncoder::encode_document(const ParsedDocument& document, Encoder& encoder,
                                      EncodedBatch& batch) const {
  if (!known_ids(document.tokens)) {
    batch.faults.add(Fault::kWrongToken, std::ssize(document.tokens) * 4, document.place);
    return;
  }
  EncodedDocument encoded{
      .domain = std::string(document.domain), .place = document.place, .begin = batch.tokens.size()};
  const std::string decoded = document.tokens.empty() ? "" : tokenizer_.decode(document.tokens);
  const std::string_view text = document.tokens.empty() ? document.text : decoded;
  if (chat_) {
    chat_->encode(document.pieces, encoder, batch.tokens, encoded.trained);
    const std::size_t chosen_end = batch.tokens.size();
    chat_->encode(document.rejected, encoder, batch.tokens, encoded.trained_of_rejected);
    encoded.rejected = batch.tokens.size() - chosen_end;
  } else if (document.tokens.empty()) {
    encoder.encode(text, batch.tokens);
  } else {
    batch.tokens.insert(batch.tokens.end(), document.tokens.begin(), document.tokens.end());
  }
  encoded.count = batch.tokens.size() - encoded.begin;
  encoded.bytes = static_cast<std::int64_t>(text.size());
  std::string marked = with_borders(document.pieces);
  if (!document.rejected.empty()) marked += '\3' + with_borders(document.rejected);
  encoded.hash = content_hash(chat_ ? marked : text);
  if (near_duplicates_ > 0.0) encoded.bands = near_duplicate_bands(text, near_duplicates_);
  batch.documents.push_back(std::move(encoded));
}

EncodedBatch DocumentEncoder::encode(const RawBatch& raw) {
  auto encoder = take_encoder();
  EncodedBatch batch;
  batch.end = raw.end;
  parse_documents(raw, options_, batch.faults,
                  [&](const ParsedDocument& document) { encode_document(document, *encoder, batch); });
  give_back(std::move(encoder));
  return batch;
}

}  // namespace troupe::data
