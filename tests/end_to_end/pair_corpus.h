#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/token_dataset.h"
#include "data/token_file_writer.h"
#include "tests/end_to_end/inproc_training.h"
#include "tests/scratch_folder.h"

namespace troupe::test {

inline constexpr std::int64_t kPairs = 96;
inline constexpr std::int64_t kPrompt = 6;  // tokens
inline constexpr std::int64_t kAnswer = 9;

/// Prompts of the committed corpus; the chosen answer is the text that follows, the rejected one the same
/// backwards.
class PairCorpus {
 public:
  PairCorpus() : file_(folder_ / "pairs"), dataset_(write()) {}
  [[nodiscard]] const data::TokenDataset& dataset() const { return dataset_; }
  [[nodiscard]] const ScratchFolder& folder() const { return folder_; }

 private:
  data::TokenDataset write() {
    const data::TokenDataset text = tiny_dataset();
    data::TokenFileHeader header = text.header();
    header.document_offsets = {0};
    header.document_domains.clear();
    header.pairs = true;
    std::vector<std::int32_t> tokens;
    std::vector<std::int64_t> trained;
    for (std::int64_t pair = 0; pair < kPairs; ++pair) {
      std::vector<std::int32_t> read(static_cast<std::size_t>(kPrompt + kAnswer));
      text.read(text.document(pair).first, read);
      for (const bool chosen : {true, false}) {
        if (!chosen) std::reverse(read.begin() + kPrompt, read.end());
        const std::int64_t begin = std::ssize(tokens);
        tokens.insert(tokens.end(), read.begin(), read.end());
        tokens.push_back(header.end_of_text);
        data::append_span(begin + kPrompt, std::ssize(tokens), trained);
        header.document_offsets.push_back(std::ssize(tokens));
        header.document_domains.push_back(text.header().document_domains[static_cast<std::size_t>(pair)]);
      }
    }
    header.trained = data::TrainedSpans(std::move(trained));
    data::write_token_file(file_, header, tokens);
    return data::TokenDataset(file_);
  }

  ScratchFolder folder_;
  std::filesystem::path file_;
  data::TokenDataset dataset_;
};

}  // namespace troupe::test
