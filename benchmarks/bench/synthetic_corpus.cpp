#include "benchmarks/bench/synthetic_corpus.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/index.h"
#include "base/random.h"
#include "data/token_file_writer.h"

namespace troupe::benchmarks {
namespace {

std::vector<std::int32_t> zipf_tokens(std::int64_t vocab_size, std::int64_t count) {
  const Random random(1, RandomPurpose::kTest);
  const auto words = static_cast<double>(vocab_size - 1);
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < count; ++i) {
    const double drawn = std::pow(words, random.uniform(static_cast<std::uint64_t>(i)));
    tokens.push_back(1 + static_cast<std::int32_t>(drawn) % static_cast<std::int32_t>(vocab_size - 1));
  }
  tokens.front() = tokens.back() = 0;
  return tokens;
}

}  // namespace

SyntheticCorpus::SyntheticCorpus(std::int64_t vocab_size, std::int64_t sequence_length,
                                 std::int64_t sequences)
    : folder_(std::filesystem::temp_directory_path() / fmt::format("troupe-bench-corpus-{}", ::getpid())) {
  const std::int64_t count = sequence_length * (sequences + 1) + 1;
  const data::TokenFileHeader header{.domain_names = {"synthetic"},
                                     .tokenizer_hash = "synthetic",
                                     .vocab_size = vocab_size,
                                     .end_of_text = 0,
                                     .begin_of_text = data::kNoToken,
                                     .token_bytes = std::vector<std::int32_t>(at(vocab_size), 4),
                                     .document_offsets = {0, count},
                                     .document_domains = {0}};
  data::write_token_file(file(), header, zipf_tokens(vocab_size, count));
}

std::filesystem::path SyntheticCorpus::file() const { return folder_.path() / data::kTrainFile; }

}  // namespace troupe::benchmarks
