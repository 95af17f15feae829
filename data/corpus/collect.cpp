#include "data/corpus/collect.h"

#include <fnmatch.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "data/corpus/text_file.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;

bool matches(const std::string& path, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    const int result = ::fnmatch(pattern.c_str(), path.c_str(), 0);
    if (result != 0 && result != FNM_NOMATCH)
      throw Error(ErrorCode::kConfig, "bad file pattern '{}'", pattern);
    return result == 0;
  });
}

Error source_error(const CorpusDescription& description, const CorpusSource& source,
                   const std::string& message) {
  return Error(ErrorCode::kConfig, "{}:{}: {}", description.file.string(), source.line, message);
}

}  // namespace

std::vector<fs::path> matching_files(const fs::path& root, const std::vector<std::string>& patterns) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.symlink_status().type() != fs::file_type::regular) continue;
    if (matches(entry.path().lexically_relative(root).generic_string(), patterns))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<fs::path> source_files(const CorpusDescription& description, const CorpusSource& source,
                                   const fs::path& root) {
  if (!fs::is_directory(root)) {
    throw source_error(description, source, fmt::format("there is no folder {}", root.string()));
  }
  auto files = matching_files(root, source.files);
  if (files.empty()) {
    throw source_error(
        description, source,
        fmt::format("no file of domain '{}' matches its patterns in {}", source.domain, root.string()));
  }
  return files;
}

std::vector<Document> collect_documents(const CorpusDescription& description, const CorpusSource& source,
                                        const fs::path& root, std::int32_t domain) {
  const auto files = source_files(description, source, root);
  std::vector<Document> documents;
  std::size_t dropped = 0;
  for (const fs::path& file : files) {
    const auto text = read_text_file(file, source.format);
    if (!text) {
      ++dropped;
      continue;
    }
    for (const std::string_view piece :
         split_documents(*text, source.separator, description.document_cap_bytes)) {
      documents.emplace_back(std::string(piece), domain);
    }
  }
  if (dropped > 0)
    log::info("{}: left out {} of {} files that are not UTF-8 text", source.domain, dropped, files.size());
  return documents;
}

}  // namespace troupe::data
