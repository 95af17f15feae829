#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "data/corpus/stamp.h"
#include "data/corpus/temporary_folder.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer.h"

namespace troupe::data {

/// Whether `folder` holds the whole preparation of just these inputs (CorpusStamp::inputs).
[[nodiscard]] bool is_prepared(const std::filesystem::path& folder, const std::string& inputs);

/// A folder of the user's is not ours to replace: kConfig unless it is empty, missing or a prepared corpus.
void check_replaceable(const std::filesystem::path& folder);

/// What token files of this tokenizer say, without their documents.
[[nodiscard]] TokenFileHeader header_of(const Tokenizer& tokenizer, std::vector<std::string> domain_names);

/// A name beside `output` that nobody else uses.
[[nodiscard]] std::filesystem::path temporary_folder_of(const std::filesystem::path& output);

/// Adds the stamp, with the hashes of the folder's files, and makes the folder the content of `output`.
void publish_corpus(TemporaryFolder& folder, CorpusStamp stamp, const std::filesystem::path& output);

}  // namespace troupe::data
