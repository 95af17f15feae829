#include "cli/bench/synthetic_corpus.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "data/token_file_writer.h"

namespace troupe::cli {
namespace {

std::filesystem::path make_temporary_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "troupe-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw Error(ErrorCode::kIo, "cannot make the temporary folder {}: {}", name, std::strerror(errno));
  return name;
}

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
    : folder_(make_temporary_folder()) {
  const std::int64_t count = sequence_length * (sequences + 1) + 1;
  const data::TokenFileHeader header{
      .domain_names = {"synthetic"},
      .tokenizer_hash = "synthetic",
      .vocab_size = vocab_size,
      .end_of_text = 0,
      .token_bytes = std::vector<std::int32_t>(static_cast<std::size_t>(vocab_size), 4),
      .document_offsets = {0, count},
      .document_domains = {0}};
  data::write_token_file(file(), header, zipf_tokens(vocab_size, count));
}

SyntheticCorpus::~SyntheticCorpus() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::filesystem::path SyntheticCorpus::file() const { return folder_ / data::kTrainFile; }

}  // namespace troupe::cli
