#include <fmt/format.h>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/index.h"
#include "data/tokenizer/byte_alphabet.h"
#include "data/tokenizer/tokenizer_json.h"

namespace troupe::data {
namespace {

std::string json_string(const std::string& text) { return nlohmann::json(text).dump(); }

std::string added_tokens_text(const Vocabulary& vocabulary) {
  std::string text;
  for (const SpecialToken& special : vocabulary.specials) {
    text += fmt::format(
        "{}\n    {{\"id\": {}, \"content\": {}, \"single_word\": false, \"lstrip\": false, \"rstrip\": "
        "false, "
        "\"normalized\": false, \"special\": true}}",
        text.empty() ? "" : ",", special.id, json_string(special.name));
  }
  return text;
}

std::string vocab_text(const Vocabulary& vocabulary) {
  std::vector<std::string> names(vocabulary.tokens.size());
  for (std::size_t id = 0; id < names.size(); ++id) names[id] = to_alphabet(vocabulary.tokens[id]);
  for (const SpecialToken& special : vocabulary.specials) names[at(special.id)] = special.name;
  std::string text;
  for (std::size_t id = 0; id < names.size(); ++id) {
    text += fmt::format("{}\n      {}: {}", id == 0 ? "" : ",", json_string(names[id]), id);
  }
  return text;
}

/// As "left right", which every version of their package reads.
std::string merges_text(const Vocabulary& vocabulary) {
  const auto name = [&](TokenId id) { return to_alphabet(vocabulary.tokens[at(id)]); };
  std::string text;
  for (const Merge& merge : vocabulary.merges) {
    text += fmt::format("{}\n      {}", text.empty() ? "" : ",",
                        json_string(name(merge.left) + " " + name(merge.right)));
  }
  return text;
}

std::string byte_level(bool use_regex) {
  return fmt::format(
      R"({{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": {}}})",
      use_regex);
}

std::string normalizer_text(const TokenizerRules& rules) {
  return rules.compose ? R"({"type": "NFC"})" : "null";
}

/// Of a tokenizer that was trained here: its steps all isolate what they match.
std::string pre_tokenizer_text(const TokenizerRules& rules) {
  if (rules.splits.empty()) return byte_level(rules.gpt2_pattern);
  std::string stages;
  for (const SplitStep& step : rules.splits) {
    stages += fmt::format(
        R"({{"type": "Split", "pattern": {{"Regex": {}}}, "behavior": "Isolated", "invert": false}}, )",
        json_string(step.pattern));
  }
  return fmt::format(R"({{"type": "Sequence", "pretokenizers": [{}{}]}})", stages,
                     byte_level(rules.gpt2_pattern));
}

/// Puts the token that begins a text before it.
std::string post_processor_text(const Tokenizer& tokenizer) {
  if (!tokenizer.begin_of_text()) return "null";
  const std::string name = json_string(tokenizer.vocabulary().begin_of_text);
  const std::string special = fmt::format(R"({{"SpecialToken": {{"id": {}, "type_id": 0}}}})", name);
  const auto text = [](const char* id) {
    return fmt::format(R"({{"Sequence": {{"id": "{}", "type_id": 0}}}})", id);
  };
  return fmt::format(R"({{"type": "TemplateProcessing", "single": [{0}, {1}], "pair": [{0}, {1}, {0}, {2}], )"
                     R"("special_tokens": {{{3}: {{"id": {3}, "ids": [{4}], "tokens": [{3}]}}}}}})",
                     special, text("A"), text("B"), name, *tokenizer.begin_of_text());
}

}  // namespace

void write_tokenizer_json(const Tokenizer& tokenizer, const std::filesystem::path& path) {
  write_file_atomically(path, to_tokenizer_json(tokenizer));
}

std::string to_tokenizer_json(const Tokenizer& tokenizer) {
  if (!tokenizer.source().empty()) return tokenizer.source();
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  return fmt::format(
      "{{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [{}\n "
      " ],\n"
      "  \"normalizer\": {},\n  \"pre_tokenizer\": {},\n  \"post_processor\": {},\n  \"decoder\": "
      "{},\n"
      "  \"model\": {{\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
      "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": "
      "false,\n"
      "    \"byte_fallback\": false,\n    \"ignore_merges\": false,\n    \"vocab\": {{{}\n    }},\n"
      "    \"merges\": [{}\n    ]\n  }}\n}}\n",
      added_tokens_text(vocabulary), normalizer_text(vocabulary.rules), pre_tokenizer_text(vocabulary.rules),
      post_processor_text(tokenizer), byte_level(true), vocab_text(vocabulary), merges_text(vocabulary));
}

}  // namespace troupe::data
