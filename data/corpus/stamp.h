#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/corpus/description.h"
#include "data/corpus/document.h"
#include "storage/verified_file.h"

namespace troupe::data {

inline constexpr const char* kStampFile = "corpus.json";

/// What a prepared folder was made of: its corpus.json.
struct CorpusStamp {
  std::string name;
  std::string inputs;                            // hash of everything that decides the content
  std::map<std::string, std::string> languages;  // by domain
  std::map<std::string, std::string> packages;   // versions by package
  std::vector<storage::FileDescription> files;   // of the folder, as they were written

  bool operator==(const CorpusStamp&) const = default;
};

[[nodiscard]] std::string to_hexadecimal(const ContentHash& hash);

/// Hash of the description's text, its local files, the tokenizer that it names or the vocabulary size, and
/// this program's way of preparing. Packages count by their names: a cached one is what it is.
[[nodiscard]] std::string hash_inputs(const CorpusDescription& description);

/// Throws kCorrupt when there is a stamp that cannot be read; an empty one when there is none.
[[nodiscard]] CorpusStamp read_stamp(const std::filesystem::path& folder);
void write_stamp(const CorpusStamp& stamp, const std::filesystem::path& folder);

}  // namespace troupe::data
