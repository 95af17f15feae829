#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "benchmarks/bench/bench.h"
#include "benchmarks/bench/report.h"
#include "cli/subcommands.h"
#include "data/tokenizer/bpe_trainer.h"
#include "data/tokenizer/encoder.h"
#include "data/tokenizer/tokenizer_json.h"

namespace troupe::benchmarks {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestText = std::size_t{1} << 30;

struct TokenizerBenchArguments {
  std::string tokenizer;  // empty: the one that is trained
  std::string text = "tests/data/text";
  int vocab_size = data::BpeTrainerOptions{}.vocab_size;
  int repeats = 5;
  bool json = false;
};

/// The file, or all files below the folder, by path: a document each.
std::vector<std::string> read_documents(const fs::path& text) {
  std::vector<fs::path> files;
  if (fs::is_directory(text)) {
    for (const auto& entry : fs::recursive_directory_iterator(text)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::ranges::sort(files);
  } else {
    files.push_back(text);
  }
  std::vector<std::string> documents;
  for (const fs::path& file : files) documents.push_back(read_file(file, kLargestText));
  return documents;
}

class TokenizerBench {
 public:
  explicit TokenizerBench(const TokenizerBenchArguments& arguments)
      : arguments_(arguments), documents_(read_documents(arguments.text)) {
    for (const std::string& document : documents_) bytes_ += static_cast<double>(document.size());
    if (bytes_ == 0.0) throw Error(ErrorCode::kConfig, "{}: no text to measure with", arguments.text);
  }

  Report run() {
    const Timing split = measure([&] { this->split(); });
    const Timing train = measure([&] { this->train(); });
    const data::Tokenizer tokenizer =
        arguments_.tokenizer.empty() ? this->train() : data::read_tokenizer_json(arguments_.tokenizer);
    const Timing encode = measure([&] { this->encode(tokenizer); });
    const double megabytes = bytes_ * 1e-6;
    return {.title = fmt::format("tokenizer, one thread: {} of {} documents, {:.2f} MB; encoders begin empty",
                                 arguments_.text, documents_.size(), megabytes),
            .unit = "MB/s",
            .floor = "splitting",
            .measurements = {{"split into words", split, megabytes, split.median},
                             {fmt::format("encode with {} entries", tokenizer.vocab_size()), encode,
                              megabytes, split.median},
                             {fmt::format("train {} entries", arguments_.vocab_size), train, megabytes,
                              split.median}},
            .facts = {{"documents", static_cast<double>(documents_.size())},
                      {"bytes", bytes_},
                      {"words", static_cast<double>(words_)},
                      {"tokens", static_cast<double>(tokens_.size())}}};
  }

 private:
  Timing measure(const std::function<void()>& body) const {
    return time_repeated(clock_, {.least = arguments_.repeats, .seconds = 0.0}, body);
  }

  void split() {
    words_ = 0;
    const data::PreTokenizer pre_tokenizer;
    for (const std::string& document : documents_) {
      pre_tokenizer.for_each_word(document, [&](std::string_view) { ++words_; });
    }
  }

  data::Tokenizer train() const {
    data::BpeTrainer trainer({.vocab_size = arguments_.vocab_size});
    for (const std::string& document : documents_) trainer.add_document(document);
    return data::Tokenizer(trainer.train());
  }

  void encode(const data::Tokenizer& tokenizer) {
    tokens_.clear();
    data::Encoder encoder(tokenizer);
    for (const std::string& document : documents_) encoder.encode(document, tokens_);
  }

  const TokenizerBenchArguments& arguments_;
  SystemClock clock_;
  std::vector<std::string> documents_;
  double bytes_ = 0.0;
  std::int64_t words_ = 0;
  std::vector<data::TokenId> tokens_;
};

int bench_tokenizer(const TokenizerBenchArguments& arguments) {
  print(TokenizerBench(arguments).run(), arguments.json);
  return cli::kSuccess;
}

}  // namespace

void add_bench_tokenizer(CLI::App& bench, Action& action) {
  auto* tokenizer = bench.add_subcommand("tokenizer", "Encoding text and training a vocabulary");
  const auto arguments = std::make_shared<TokenizerBenchArguments>();
  tokenizer
      ->add_option("-t,--tokenizer", arguments->tokenizer,
                   "The tokenizer.json to encode with, instead of the one that is trained")
      ->check(CLI::ExistingFile);
  tokenizer->add_option("--text", arguments->text, "A text file, or a folder of them, each a document")
      ->capture_default_str()
      ->check(CLI::ExistingPath);
  tokenizer->add_option("--vocab", arguments->vocab_size, "Entries to train")
      ->capture_default_str()
      ->check(CLI::Range(257, 1 << 20));
  tokenizer->add_option("--repeats", arguments->repeats, "Measurements of each")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  tokenizer->add_flag("--json", arguments->json, "Machine-readable");
  tokenizer->footer("Example:\n  troupe bench tokenizer --text tests/data/text --vocab 2048 --json");
  tokenizer->callback([arguments, &action] { action = [arguments] { return bench_tokenizer(*arguments); }; });
}

}  // namespace troupe::benchmarks
