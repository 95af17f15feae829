#include "conversion/gguf_tokenizer.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/index.h"
#include "data/tokenizer/byte_alphabet.h"
#include "data/tokenizer/splitter.h"

namespace troupe::conversion {
namespace {

// llama.cpp's kinds of tokens.
constexpr std::int32_t kNormal = 1;
constexpr std::int32_t kControl = 3;
constexpr std::int32_t kUserDefined = 4;
constexpr std::int32_t kUnused = 5;

/// llama.cpp's name of the way in which text is cut into words.
std::string words_of(const data::TokenizerRules& rules) {
  if (!rules.byte_fallback && rules.prefix_space == data::PrefixSpace::kNever) {
    if (rules.gpt2_pattern) return "gpt-2";
    if (rules.splits == data::split_steps_named("llama3")) return "llama-bpe";
    if (rules.splits == data::split_steps_named("qwen")) return "qwen2";
  }
  throw Error(
      ErrorCode::kConfig,
      "the run's tokenizer is none that GGUF has a name for: those that cut text into words as GPT-2, "
      "Llama 3 or Qwen are written; `--format hf` writes any");
}

}  // namespace

storage::gguf::Metadata gguf_tokenizer(const data::Tokenizer& tokenizer, std::int64_t rows) {
  const data::Vocabulary& vocabulary = tokenizer.vocabulary();
  std::vector<std::string> tokens;
  for (const std::string& bytes : vocabulary.tokens) tokens.push_back(data::to_alphabet(bytes));
  std::vector<std::int32_t> kinds(tokens.size(), kNormal);
  for (const data::SpecialToken& special : vocabulary.specials) {
    tokens[at(special.id)] = special.name;
    kinds[at(special.id)] = special.special ? kControl : kUserDefined;
  }
  for (std::int64_t row = std::ssize(tokens); row < rows; ++row) {
    tokens.push_back(fmt::format("[PAD{}]", row));
    kinds.push_back(kUnused);
  }
  std::vector<std::string> merges;
  for (const data::Merge& merge : vocabulary.merges) {
    merges.push_back(data::to_alphabet(vocabulary.tokens[at(merge.left)]) + " " +
                     data::to_alphabet(vocabulary.tokens[at(merge.right)]));
  }
  return {{"tokenizer.ggml.model", "gpt2"},
          {"tokenizer.ggml.pre", words_of(vocabulary.rules)},
          {"tokenizer.ggml.tokens", std::move(tokens)},
          {"tokenizer.ggml.token_type", std::move(kinds)},
          {"tokenizer.ggml.merges", std::move(merges)},
          {"tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(tokenizer.document_start())},
          {"tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(tokenizer.end_of_text())},
          {"tokenizer.ggml.add_bos_token", true}};
}

}  // namespace troupe::conversion
