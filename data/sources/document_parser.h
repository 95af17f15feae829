#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "data/chat/chat_template.h"
#include "data/corpus/json_lines.h"
#include "data/sources/faults.h"
#include "data/sources/input_reader.h"

namespace troupe::data {

/// A document that was understood: its text or, of a token file, its ids.
struct ParsedDocument {
  std::string_view text;  // of a chat: of all its pieces
  std::span<const std::int32_t> tokens;
  std::string_view domain;
  std::string place;                     // "a.jsonl:7"
  std::vector<ChatPiece> pieces = {};    // of a chat
  std::vector<ChatPiece> rejected = {};  // of a preference, whose chosen half the pieces are
};

struct ParseOptions {
  JsonFields fields;
  bool clean = false;                     // Unix line ends, no space at the ends of lines
  std::optional<ChatTemplate> chat = {};  // JSON lines are conversations: chat_line.h
  bool preferences = false;               // or two of them each: preference_line.h
};

/// Understands a batch's documents in their order, and calls visit for each that is good; faults are counted.
/// Text stays as it is, byte for byte, save a byte order mark at the beginning of a file (and `clean`).
/// What visit is given is valid during the call.
void parse_documents(const RawBatch& batch, const ParseOptions& options, FaultCounts& faults,
                     const std::function<void(const ParsedDocument&)>& visit);

}  // namespace troupe::data
