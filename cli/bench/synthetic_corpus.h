#pragma once
#include <cstdint>
#include <filesystem>

namespace troupe::cli {

/// A token file in a temporary folder, for as long as it lives: one document longer than a sequence, ids
/// drawn with a Zipf-like frequency, so that embedding and router see what text looks like.
class SyntheticCorpus {
 public:
  SyntheticCorpus(std::int64_t vocab_size, std::int64_t sequence_length, std::int64_t sequences);
  ~SyntheticCorpus();
  SyntheticCorpus(const SyntheticCorpus&) = delete;
  SyntheticCorpus& operator=(const SyntheticCorpus&) = delete;

  [[nodiscard]] std::filesystem::path file() const;

 private:
  std::filesystem::path folder_;
};

}  // namespace troupe::cli
