#include "data/corpus/publish.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"

namespace troupe::data {

namespace fs = std::filesystem;

bool is_prepared(const fs::path& folder, const std::string& inputs) {
  if (read_stamp(folder).inputs != inputs) return false;
  return std::ranges::all_of(std::initializer_list<const char*>{kTrainFile, kHeldoutFile, kTokenizerFile},
                             [&](const char* name) { return fs::exists(folder / name); });
}

void check_replaceable(const fs::path& folder) {
  if (!fs::exists(folder)) return;
  if (fs::is_directory(folder) && (fs::is_empty(folder) || fs::exists(folder / kStampFile))) return;
  throw Error(ErrorCode::kConfig,
              "{} exists and is not a prepared corpus: choose another --output, or remove it",
              folder.string());
}

TokenFileHeader header_of(const Tokenizer& tokenizer, std::vector<std::string> domain_names) {
  TokenFileHeader header;
  header.domain_names = std::move(domain_names);
  header.tokenizer_hash = tokenizer.hash();
  header.vocab_size = tokenizer.vocab_size();
  header.end_of_text = tokenizer.end_of_text();
  header.begin_of_text = tokenizer.begin_of_text().value_or(kNoToken);
  for (TokenId token = 0; token < tokenizer.vocab_size(); ++token) {
    header.token_bytes.push_back(static_cast<std::int32_t>(tokenizer.token_bytes(token).size()));
  }
  return header;
}

fs::path temporary_folder_of(const fs::path& output) {
  return output.parent_path() / fmt::format(".{}.{}", output.filename().string(), ::getpid());
}

void publish_corpus(TemporaryFolder& folder, CorpusStamp stamp, const fs::path& output) {
  for (const char* file : {kHeldoutFile, kTokenizerFile, kTrainFile})
    stamp.files.push_back(storage::describe_file(folder.path() / file));
  write_stamp(stamp, folder.path());
  folder.publish(output);
}

}  // namespace troupe::data
