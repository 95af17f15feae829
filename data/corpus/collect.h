#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/corpus/description.h"
#include "data/corpus/document.h"

namespace troupe::data {

/// Regular files under `root` whose path relative to it matches one of the patterns (fnmatch(3); `*` also
/// matches `/`), sorted by path. Links are not followed: a package may point anywhere.
[[nodiscard]] std::vector<std::filesystem::path> matching_files(const std::filesystem::path& root,
                                                                const std::vector<std::string>& patterns);

/// The source's files under `root`, at least one: kConfig with the source's line otherwise.
[[nodiscard]] std::vector<std::filesystem::path> source_files(const CorpusDescription& description,
                                                              const CorpusSource& source,
                                                              const std::filesystem::path& root);

/// All documents of a source's files under `root`, in path order, and files that were no text (in the log).
/// Throws as source_files.
[[nodiscard]] std::vector<Document> collect_documents(const CorpusDescription& description,
                                                      const CorpusSource& source,
                                                      const std::filesystem::path& root, std::int32_t domain);

}  // namespace troupe::data
