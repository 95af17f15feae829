#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/corpus/description.h"
#include "data/corpus/document.h"
#include "data/tokenizer/tokenizer.h"

namespace troupe::data {

/// Files under `root` whose path relative to it matches one of the patterns (fnmatch(3); `*` also matches
/// `/`, and `**/` nothing as well), sorted by path. Links are followed or not; one that leads nowhere and one
/// that leads back to a folder around it are not.
enum class Links : std::uint8_t { kFollow, kIgnore };
struct MatchingFiles {
  std::vector<std::filesystem::path> files;
  std::vector<std::filesystem::path> broken_links;  // that match, too, and lead nowhere
};
[[nodiscard]] MatchingFiles matching_files(const std::filesystem::path& root,
                                           const std::vector<std::string>& patterns,
                                           Links links = Links::kFollow);

/// The source's files under `root`, at least one that is there: kConfig with the source's line otherwise.
/// Links in a folder of the user's are followed; in a package they are not, which may point anywhere.
[[nodiscard]] MatchingFiles source_files(const CorpusDescription& description, const CorpusSource& source,
                                         const std::filesystem::path& root);

/// What a source gave, and what was left out of it, a sentence each.
struct CollectedDocuments {
  std::vector<Document> documents;
  std::vector<std::string> notices;
};

/// All documents of a source's files under `root`, in path order. tokenizer: of files of tokens. Throws as
/// source_files; kCorrupt for files of tokens that are none.
[[nodiscard]] CollectedDocuments collect_documents(const CorpusDescription& description,
                                                   const CorpusSource& source,
                                                   const std::filesystem::path& root, std::int32_t domain,
                                                   const Tokenizer* tokenizer = nullptr);

}  // namespace troupe::data
