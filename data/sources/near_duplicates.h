#pragma once
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/file.h"

namespace troupe::data {

/// MinHash with bands (Broder 1997; Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3):
/// texts whose sets of five successive words have a Jaccard similarity around `similarity` or above share a
/// band with high probability. Two texts are near duplicates when they share one. Texts of fewer words are
/// compared whole.
[[nodiscard]] std::vector<std::uint64_t> near_duplicate_bands(std::string_view text, double similarity);

/// Bands of the documents so far, in memory and in a file of a folder. Not thread-safe.
class NearDuplicates {
 public:
  /// Takes up `count` bands of an earlier preparation in that folder, and drops the rest.
  void take_up(const std::filesystem::path& folder, std::int64_t count);
  /// Everything so far is in the file; how many bands that is.
  std::int64_t flush();

  /// Whether a document shares a band with an earlier one; else its bands are kept.
  [[nodiscard]] bool seen(const std::vector<std::uint64_t>& bands);

 private:
  std::unordered_set<std::uint64_t> bands_;
  std::vector<std::uint64_t> new_bands_;  // not in the file
  std::int64_t in_file_ = 0;
  std::filesystem::path path_;
  FileDescriptor file_;
};

}  // namespace troupe::data
