#pragma once
#include <cstdint>
#include <filesystem>

#include "data/corpus/temporary_folder.h"

namespace troupe::benchmarks {

/// A token file in a temporary folder, for as long as it lives: one document longer than a sequence, ids
/// drawn with a Zipf-like frequency, so that embedding and router see what text looks like.
class SyntheticCorpus {
 public:
  SyntheticCorpus(std::int64_t vocab_size, std::int64_t sequence_length, std::int64_t sequences);
  [[nodiscard]] std::filesystem::path file() const;

 private:
  data::TemporaryFolder folder_;
};

}  // namespace troupe::benchmarks
