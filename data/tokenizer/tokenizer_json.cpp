#include "data/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "base/json_outline.h"
#include "data/tokenizer/byte_alphabet.h"
#include "data/tokenizer/json_places.h"
#include "data/tokenizer/tokenizer_pipeline.h"

namespace troupe::data {
namespace {

using nlohmann::json;

constexpr std::size_t kLargestFile = std::size_t{64} << 20;
constexpr int kDeepestNesting = 16;

/// The parsed document; refuses deep nesting before it parses: nlohmann's callbacks while it does would take
/// time by the square of the objects in an array.
json parse_document(std::string_view text, const std::string& name) {
  if (json_outline(text).depth > kDeepestNesting) {
    throw Error(ErrorCode::kCorrupt, "{}: nested deeper than {} levels: not a tokenizer.json", name,
                kDeepestNesting);
  }
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    throw Error(ErrorCode::kCorrupt, "{}: byte {}: not valid JSON: {}", name, error.byte, error.what());
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kCorrupt, "{}: not valid JSON: {}", name, error.what());
  }
}

/// Turns the document into a vocabulary, and every surprise into an Error that says where.
class VocabularyReader : JsonPlaces {
 public:
  VocabularyReader(const json& document, const std::string& name) : JsonPlaces(document, name) {}

  Vocabulary read() {
    vocabulary_.rules = read_rules(document_, name_);
    check_model(member(document_, "", "model"));
    read_specials();
    read_tokens();
    read_merges();
    name_ends();
    return std::move(vocabulary_);
  }

 private:
  void check_model(const json& model) {
    if (string_of(member(model, "/model", "type"), "/model/type") != "BPE") {
      fail("/model/type", "{} is not supported, only \"BPE\"", shortened(model["type"]));
    }
    require(model, "/model", "dropout", {nullptr, 0.0});
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      require(model, "/model", key, {nullptr, ""});
    }
    if (!vocabulary_.rules.byte_fallback) require(model, "/model", "unk_token", {nullptr, ""});
  }

  TokenId id_of(const json& value, const std::string& place) const {
    if (!value.is_number_unsigned()) fail(place, "a token id is needed here, not {}", shortened(value));
    const auto id = value.get<std::uint64_t>();
    constexpr std::uint64_t kLargestId = (std::uint64_t{1} << 24) - 1;
    if (id > kLargestId) fail(place, "token id {} is above {}", id, kLargestId);
    return static_cast<TokenId>(id);
  }

  void read_specials() {
    const json& added = member(document_, "", "added_tokens");
    if (!added.is_array()) fail("/added_tokens", "an array is needed here, not {}", added.type_name());
    for (std::size_t i = 0; i < added.size(); ++i) {
      const std::string place = fmt::format("/added_tokens/{}", i);
      vocabulary_.specials.push_back(
          {.id = id_of(member(added[i], place, "id"), place + "/id"),
           .name = string_of(member(added[i], place, "content"), place + "/content"),
           .special = flag_of(added[i], place, "special", false),
           .left_strip = flag_of(added[i], place, "lstrip", false),
           .right_strip = flag_of(added[i], place, "rstrip", false),
           .single_word = flag_of(added[i], place, "single_word", false),
           .normalized = flag_of(added[i], place, "normalized", true)});
    }
    std::sort(vocabulary_.specials.begin(), vocabulary_.specials.end(),
              [](const SpecialToken& a, const SpecialToken& b) { return a.id < b.id; });
  }

  [[nodiscard]] const SpecialToken* special_named(const std::string& name) const {
    for (const SpecialToken& special : vocabulary_.specials) {
      if (special.name == name) return &special;
    }
    return nullptr;
  }

  /// Special tokens may stand in the vocabulary as well. All ids together must be 0..n-1.
  void read_tokens() {
    const json& vocab = member(document_["model"], "/model", "vocab");
    if (!vocab.is_object()) fail("/model/vocab", "an object is needed here, not {}", vocab.type_name());
    for (const auto& [characters, value] : vocab.items()) {
      const std::string place = "/model/vocab/" + characters;
      const TokenId id = id_of(value, place);
      const SpecialToken* special = special_named(characters);
      if (special == nullptr) {
        id_of_token_.emplace(characters, id);
      } else if (special->id != id) {
        fail(place, "its id is {} here, but {} in /added_tokens", id, special->id);
      }
    }
    vocabulary_.tokens.resize(id_of_token_.size() + vocabulary_.specials.size());
    for (const auto& [characters, id] : id_of_token_) place_token(characters, id);
    for (const SpecialToken& added : vocabulary_.specials) {
      if (!added.special) put_token(added.name, added.id, "/added_tokens");
    }
    if (vocabulary_.rules.byte_fallback) read_byte_tokens();
  }

  /// <0x00> to <0xFF> stand for their bytes.
  void read_byte_tokens() {
    for (int byte = 0; byte < 256; ++byte) {
      const TokenId id = token_named(fmt::format("<0x{:02X}>", byte), "/model/vocab");
      vocabulary_.byte_tokens.push_back(id);
      vocabulary_.tokens[at(id)] = static_cast<char>(byte);
    }
  }

  void place_token(const std::string& characters, TokenId id) {
    const std::string place = "/model/vocab/" + characters;
    if (vocabulary_.rules.byte_fallback) return put_token(characters, id, place);
    const std::optional<std::string> bytes = from_alphabet(characters);
    if (!bytes.has_value() || bytes->empty()) fail(place, "not written in the byte-level alphabet");
    put_token(*bytes, id, place);
  }

  void put_token(const std::string& bytes, TokenId id, const std::string& place) {
    if (at(id) >= vocabulary_.tokens.size()) {
      fail(place, "id {}, but there are only {} tokens: ids must be 0, 1, 2, …", id,
           vocabulary_.tokens.size());
    }
    std::string& token = vocabulary_.tokens[at(id)];
    if (!token.empty()) fail(place, "token '{}' has the id {} as well", to_alphabet(token), id);
    token = bytes;
  }

  /// The token that ends documents is not named in the file: it is known by what it is called.
  void name_ends() {
    static constexpr std::array<std::string_view, 9> kEnds = {
        kEndOfText,   "<|end_of_text|>", "<｜end▁of▁sentence｜>", "<|return|>", "</s>", "<eos>", "<|eot_id|>",
        "<|im_end|>", "<|eos|>"};
    for (const std::string_view end : kEnds) {
      const SpecialToken* found = special_named(std::string(end));
      if (found == nullptr || !found->special) continue;
      vocabulary_.end_of_text = end;
      break;
    }
    vocabulary_.begin_of_text = read_begin_of_text(document_, name_);
  }

  void read_merges() {
    const json& merges = member(document_["model"], "/model", "merges");
    if (!merges.is_array()) fail("/model/merges", "an array is needed here, not {}", merges.type_name());
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const std::string place = fmt::format("/model/merges/{}", i);
      const auto [left, right] = halves_of(merges[i], place);
      vocabulary_.merges.push_back(
          {token_named(left, place), token_named(right, place), token_named(left + right, place)});
    }
  }

  /// "left right" (before version 0.20 of their package), or ["left", "right"].
  std::pair<std::string, std::string> halves_of(const json& merge, const std::string& place) const {
    if (merge.is_array() && merge.size() == 2)
      return {string_of(merge[0], place), string_of(merge[1], place)};
    const std::string& both = string_of(merge, place);
    const std::size_t space = both.find(' ');
    if (space == std::string::npos || both.find(' ', space + 1) != std::string::npos) {
      fail(place, "\"{}\" is not two tokens with a space between", both);
    }
    return {both.substr(0, space), both.substr(space + 1)};
  }

  TokenId token_named(const std::string& characters, const std::string& place) const {
    const auto found = id_of_token_.find(characters);
    if (found == id_of_token_.end()) fail(place, "\"{}\" is not in the vocabulary", characters);
    return found->second;
  }

  Vocabulary vocabulary_;
  std::unordered_map<std::string, TokenId> id_of_token_;  // ordinary tokens, in the byte-level alphabet
};

}  // namespace

Tokenizer read_tokenizer_json(const std::filesystem::path& path) {
  return parse_tokenizer_json(read_file(path, kLargestFile), path.string());
}

Tokenizer parse_tokenizer_json(std::string_view text, const std::string& name) {
  Vocabulary vocabulary = VocabularyReader(parse_document(text, name), name).read();
  const bool plain = vocabulary.rules == TokenizerRules{};
  try {
    Tokenizer tokenizer(std::move(vocabulary));
    if (!plain) tokenizer.set_source(std::string(text));
    return tokenizer;
  } catch (const Error& error) {
    throw Error(error.code(), "{}: {}", name, error.what());
  }
}

}  // namespace troupe::data
