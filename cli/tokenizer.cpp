// troupe tokenizer train | encode | decode | eval
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "cli/arguments/path_option.h"
#include "cli/subcommands.h"
#include "data/tokenizer/bpe_trainer.h"
#include "data/tokenizer/encoder.h"
#include "data/tokenizer/evaluation.h"
#include "data/tokenizer/tokenizer_json.h"

namespace troupe::cli {
namespace {

using data::TokenId;
using data::Tokenizer;

constexpr std::size_t kLargestText = std::size_t{1} << 30;
constexpr const char* kDefaultTokenizer = "data/quickstart/tokenizer.json";

struct TokenizerArguments {
  std::vector<std::string> texts;  // paths; "-" is standard input
  std::string tokenizer = kDefaultTokenizer;
  std::vector<std::string> tokenizers = {kDefaultTokenizer};  // of eval
  std::string pattern = "gpt2";
  std::vector<std::string> special_tokens;
  std::string begin_of_text;
  std::int64_t minimum_frequency = data::BpeTrainerOptions{}.minimum_count;
  bool special_names = false;
  std::string output = "tokenizer.json";
  int vocab_size = data::BpeTrainerOptions{}.vocab_size;
  bool json = false;
};

std::string read_standard_input() {
  std::string text;
  std::array<char, 1 << 16> buffer{};
  while (true) {
    const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw io_error("cannot read standard input");
    if (count == 0) return text;
    text.append(buffer.data(), at(count));
    if (text.size() > kLargestText) {
      throw Error(ErrorCode::kConfig, "standard input has more than {} bytes: split it", kLargestText);
    }
  }
}

std::string read_text(const std::string& path) {
  return path == "-" ? read_standard_input() : read_file(path, kLargestText);
}

void print(std::string_view text) {
  write_all(FileDescriptor(::dup(STDOUT_FILENO)), std::as_bytes(std::span(text)), "standard output");
}

data::TokenizerRules rules_named(const std::string& pattern) {
  data::TokenizerRules rules;
  if (pattern == "gpt2") return rules;
  rules.splits = data::split_steps_named(pattern);
  rules.gpt2_pattern = false;
  rules.compose = pattern == "qwen";
  return rules;
}

void train(const TokenizerArguments& arguments) {
  require_writable(arguments.output);
  data::BpeTrainer trainer({.vocab_size = arguments.vocab_size,
                            .minimum_count = arguments.minimum_frequency,
                            .rules = rules_named(arguments.pattern),
                            .special_tokens = arguments.special_tokens,
                            .begin_of_text = arguments.begin_of_text});
  for (const std::string& path : arguments.texts) trainer.add_document(read_text(path));
  const Tokenizer tokenizer(trainer.train());
  write_tokenizer_json(tokenizer, arguments.output);
  print(fmt::format("{}: {} entries from {} distinct words, hash {}\n", arguments.output,
                    tokenizer.vocab_size(), trainer.distinct_words(), tokenizer.hash()));
  if (tokenizer.vocab_size() < arguments.vocab_size) {
    print(fmt::format("The text has no more pairs that occur often enough: {} of {} entries.\n",
                      tokenizer.vocab_size(), arguments.vocab_size));
  }
}

void encode(const TokenizerArguments& arguments) {
  const auto names = arguments.special_names ? data::SpecialNames::kAreTokens : data::SpecialNames::kAreText;
  const Tokenizer tokenizer = data::read_tokenizer_json(arguments.tokenizer);
  for (const std::string& path : arguments.texts) {
    print(fmt::format("{}\n", fmt::join(tokenizer.encode(read_text(path), names), " ")));
  }
}

std::vector<TokenId> parse_tokens(std::string_view text, const std::string& path) {
  constexpr std::string_view kSpaces = " \t\r\n,";
  std::vector<TokenId> tokens;
  std::size_t begin = text.find_first_not_of(kSpaces);
  while (begin != std::string_view::npos) {
    const std::size_t end = std::min(text.find_first_of(kSpaces, begin), text.size());
    TokenId token = 0;
    const auto [rest, error] = std::from_chars(text.data() + begin, text.data() + end, token);
    if (error != std::errc() || rest != text.data() + end) {
      throw Error(ErrorCode::kCorrupt, "{}: byte {}: '{}' is not a token id", path, begin,
                  text.substr(begin, std::min<std::size_t>(end - begin, 40)));
    }
    tokens.push_back(token);
    begin = text.find_first_not_of(kSpaces, end);
  }
  return tokens;
}

void decode(const TokenizerArguments& arguments) {
  const Tokenizer tokenizer = data::read_tokenizer_json(arguments.tokenizer);
  for (const std::string& path : arguments.texts)
    print(tokenizer.decode(parse_tokens(read_text(path), path)));
}

using NamedScore = std::pair<std::string, data::TokenizerScore>;

std::string to_json(const std::vector<NamedScore>& scores) {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& [name, score] : scores) {
    rows.push_back({{"text", name},
                    {"bytes", score.bytes},
                    {"tokens", score.tokens},
                    {"words", score.words},
                    {"bytes_per_token", score.bytes_per_token()},
                    {"fertility", score.fertility()},
                    {"continued_words", score.continued_proportion()}});
  }
  return rows.dump(2) + "\n";
}

std::string to_table(const std::vector<NamedScore>& scores) {
  constexpr auto kRow = "{:<32} {:>12} {:>12} {:>12} {:>10} {:>10}\n";
  std::string table = fmt::format(kRow, "text", "bytes", "tokens", "bytes/token", "fertility", "continued");
  for (const auto& [name, score] : scores) {
    table +=
        fmt::format("{:<32} {:>12} {:>12} {:>12.3f} {:>10.3f} {:>9.1f}%\n", name, score.bytes, score.tokens,
                    score.bytes_per_token(), score.fertility(), 100 * score.continued_proportion());
  }
  return table;
}

void evaluate_one(const TokenizerArguments& arguments, const std::string& file,
                  std::vector<NamedScore>& scores) {
  const Tokenizer tokenizer = data::read_tokenizer_json(file);
  data::Encoder encoder(tokenizer);
  const std::string prefix = arguments.tokenizers.size() > 1 ? file + " " : "";
  data::TokenizerScore total;
  for (const std::string& path : arguments.texts) {
    scores.emplace_back(prefix + std::filesystem::path(path).filename().string(),
                        score_text(encoder, read_text(path)));
    total += scores.back().second;
  }
  scores.emplace_back(prefix + "all", total);
}

void evaluate(const TokenizerArguments& arguments) {
  std::vector<NamedScore> scores;
  for (const std::string& file : arguments.tokenizers) evaluate_one(arguments, file, scores);
  print(arguments.json ? to_json(scores) : to_table(scores));
}

using Run = void (*)(const TokenizerArguments&);
using Arguments = std::shared_ptr<TokenizerArguments>;  // the parser keeps copies of its callbacks

CLI::App* add_verb(CLI::App& tokenizer, Action& action, const Arguments& arguments, const char* name,
                   const char* help, Run run) {
  CLI::App* verb = tokenizer.add_subcommand(name, help);
  verb->callback([arguments, run, &action] {
    action = [arguments, run] {
      run(*arguments);
      return kSuccess;
    };
  });
  return verb;
}

void add_texts(CLI::App& verb, const Arguments& arguments, const char* help) {
  verb.add_option("TEXT", arguments->texts, help)->required();
}

void add_tokenizer_option(CLI::App& verb, const Arguments& arguments) {
  add_path(verb, "-t,--tokenizer", arguments->tokenizer, "The tokenizer.json to use");
}

void add_train(CLI::App& tokenizer, Action& action, const Arguments& arguments) {
  CLI::App* verb = add_verb(tokenizer, action, arguments, "train", "Learns a vocabulary from texts", train);
  add_texts(*verb, arguments, "Text files; - is standard input");
  verb->add_option("--vocab", arguments->vocab_size, "Entries: 256 bytes, merged tokens, <|endoftext|>")
      ->capture_default_str();
  verb->add_option(
          "--pattern", arguments->pattern,
          "How text is cut into words: gpt2; llama3 (digits by threes); qwen (digits one by one, NFC)")
      ->check(CLI::IsMember({"gpt2", "llama3", "qwen"}))
      ->capture_default_str();
  verb->add_option("--special", arguments->special_tokens,
                   "Names of special tokens beside <|endoftext|>, each its own entry");
  verb->add_option("--begin-of-text", arguments->begin_of_text,
                   "Name of a special token that every document begins with; default: none does");
  verb->add_option("--min-frequency", arguments->minimum_frequency,
                   "A pair that is seen less often becomes no entry")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_path(*verb, "-o,--output", arguments->output, "File to write, in Hugging Face's format");
  verb->footer(
      "Example:\n  troupe tokenizer train book.txt letters.txt --vocab 8192 --output tokenizer.json");
}

void add_encode(CLI::App& tokenizer, Action& action, const Arguments& arguments) {
  CLI::App* verb =
      add_verb(tokenizer, action, arguments, "encode", "Token ids of texts, a line each", encode);
  add_texts(*verb, arguments, "Text files; - is standard input");
  add_tokenizer_option(*verb, arguments);
  verb->add_flag("--special-names", arguments->special_names,
                 "Names of special tokens in a text are those tokens, not text");
  verb->footer("Example:\n  echo 'Hello world' | troupe tokenizer encode - --tokenizer tokenizer.json");
}

void add_decode(CLI::App& tokenizer, Action& action, const Arguments& arguments) {
  CLI::App* verb = add_verb(tokenizer, action, arguments, "decode", "The text of token ids", decode);
  add_texts(*verb, arguments, "Files of ids, between spaces, commas or line ends; - is standard input");
  add_tokenizer_option(*verb, arguments);
  verb->footer("Example:\n  echo '39 68 75 75 78' | troupe tokenizer decode - --tokenizer tokenizer.json");
}

void add_eval(CLI::App& tokenizer, Action& action, const Arguments& arguments) {
  CLI::App* verb = add_verb(
      tokenizer, action, arguments, "eval",
      "Bytes per token, tokens per word (fertility), and how many words take two tokens or more", evaluate);
  add_texts(*verb, arguments, "Text files, one for each language or domain; - is standard input");
  verb->add_option("-t,--tokenizer", arguments->tokenizers, "tokenizer.json files to compare")
      ->capture_default_str();
  verb->add_flag("--json", arguments->json, "As JSON");
  verb->footer("Example:\n  troupe tokenizer eval tests/data/text/*.txt --tokenizer tokenizer.json");
}

}  // namespace

void add_tokenizer(CLI::App& program, Action& action) {
  CLI::App* tokenizer = program.add_subcommand("tokenizer", "Trains, runs and measures byte-pair tokenizers");
  tokenizer->require_subcommand(1);
  tokenizer->footer("Example:\n  troupe tokenizer train book.txt --vocab 8192 --output tokenizer.json");
  const auto arguments = std::make_shared<TokenizerArguments>();
  for (const auto add : {add_train, add_encode, add_decode, add_eval}) add(*tokenizer, action, arguments);
}

}  // namespace troupe::cli
