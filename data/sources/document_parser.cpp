#include "data/sources/document_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/utf8.h"
#include "data/chat/chat_line.h"
#include "data/chat/preference_line.h"
#include "data/corpus/text_file.h"

namespace troupe::data {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

class Parser {
 public:
  Parser(const RawBatch& batch, const ParseOptions& options, FaultCounts& faults,
         const std::function<void(const ParsedDocument&)>& visit)
      : batch_(batch), options_(options), faults_(faults), visit_(visit) {}

  void run() {
    for (std::int64_t i = 0; i < batch_.too_long; ++i)
      faults_.add(Fault::kTooLong, 0, batch_.file->path.string());
    for (const RawBatch::Document& document : batch_.documents) parse(document);
  }

 private:
  void parse(const RawBatch::Document& document) {
    std::string_view bytes = batch_.text(document);
    place_ = fmt::format("{}:{}", batch_.file->path.string(), document.place);
    if (batch_.file->kind == InputKind::kTokenBin || batch_.file->kind == InputKind::kMegatron)
      return parse_tokens(bytes);
    if (document.place == 1 && bytes.starts_with(kByteOrderMark)) {
      count(Fault::kByteOrderMark, bytes);
      bytes.remove_prefix(kByteOrderMark.size());
    }
    if (batch_.file->kind == InputKind::kJsonLines) return parse_line(bytes);
    if (!is_utf8(bytes)) return count(Fault::kNoUtf8, bytes);
    take(bytes, batch_.file->domain);
  }

  void parse_line(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) return;  // a blank line is no document
    if (options_.preferences) return parse_preference(line);
    if (options_.chat) return parse_chat(line);
    const JsonLine parsed = parse_json_line(line, options_.fields);
    if (parsed.fault == JsonLine::Fault::kNoUtf8) return count(Fault::kNoUtf8, line);
    if (parsed.fault != JsonLine::Fault::kNone) {
      place_ += ": " + to_string(parsed.fault, options_.fields);
      return count(Fault::kBrokenLine, line);
    }
    take(parsed.text, parsed.domain.empty() ? batch_.file->domain : domain_name(parsed.domain));
  }

  void parse_chat(std::string_view line) {
    ChatLine parsed = parse_chat_line(line, options_.fields.domain);
    if (parsed.fault) {
      place_ += ": " + parsed.what;
      return count(*parsed.fault, line);
    }
    const bool answers = std::ranges::any_of(parsed.conversation.messages, [](const ChatMessage& message) {
      return message.role == Role::kAssistant && !is_blank(message.content);
    });
    if (!answers) return count(Fault::kEmpty, line);
    std::vector<ChatPiece> pieces = write_chat(*options_.chat, parsed.conversation);
    const std::string text = text_of(pieces);
    take(text, parsed.domain.empty() ? batch_.file->domain : domain_name(parsed.domain), std::move(pieces));
  }

  void parse_preference(std::string_view line) {
    const PreferenceLine parsed = parse_preference_line(line, options_.fields.domain);
    if (parsed.fault) {
      place_ += ": " + parsed.what;
      return count(*parsed.fault, line);
    }
    ChatPair pair = write_pair(*options_.chat, parsed.chosen, parsed.rejected);
    const std::string text = text_of(pair.chosen) + text_of(pair.rejected);
    take(text, parsed.domain.empty() ? batch_.file->domain : domain_name(parsed.domain),
         std::move(pair.chosen), std::move(pair.rejected));
  }

  static bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
  }

  void take(std::string_view text, const std::string& domain, std::vector<ChatPiece> pieces = {},
            std::vector<ChatPiece> rejected = {}) {
    std::string cleaned;
    if (options_.clean) text = cleaned = detail::clean_lines(text);
    if (is_blank(text)) return count(Fault::kEmpty, text);
    if (text.find('\r') != std::string_view::npos) count(Fault::kCarriageReturn, text);
    if (text.find('\0') != std::string_view::npos) count(Fault::kNulByte, text);
    visit_({.text = text,
            .tokens = {},
            .domain = domain,
            .place = place_,
            .pieces = std::move(pieces),
            .rejected = std::move(rejected)});
  }

  void parse_tokens(std::string_view bytes) {
    if (bytes.empty()) return count(Fault::kEmpty, bytes);
    std::vector<std::int32_t> tokens(bytes.size() / sizeof(std::int32_t));
    std::memcpy(tokens.data(), bytes.data(), bytes.size());
    visit_({.text = {}, .tokens = tokens, .domain = batch_.file->domain, .place = place_});
  }

  void count(Fault fault, std::string_view bytes) {
    faults_.add(fault, static_cast<std::int64_t>(bytes.size()), place_);
  }

  const RawBatch& batch_;
  const ParseOptions& options_;
  FaultCounts& faults_;
  const std::function<void(const ParsedDocument&)>& visit_;
  std::string place_;
};

}  // namespace

void parse_documents(const RawBatch& batch, const ParseOptions& options, FaultCounts& faults,
                     const std::function<void(const ParsedDocument&)>& visit) {
  Parser(batch, options, faults, visit).run();
}

}  // namespace troupe::data
