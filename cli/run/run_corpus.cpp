#include "cli/run/run_corpus.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/arguments/shell_command.h"
#include "data/token_dataset.h"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kKeptCorpus = "corpus";
constexpr const char* kIdentityFile = "identity.json";
constexpr std::size_t kMaxIdentityBytes = 1 << 16;

/// Whether an interrupted or earlier start of the run has done it.
bool is_kept(const fs::path& folder, const std::string& identity) {
  std::error_code missing;
  return fs::exists(folder / kIdentityFile, missing) && fs::exists(folder / data::kHeldoutFile, missing) &&
         fs::exists(folder / data::kTokenizerFile, missing) &&
         read_file(folder / kIdentityFile, kMaxIdentityBytes) == identity;
}

/// `to` becomes the same file, or else a copy; in one piece.
void link_or_copy(const fs::path& from, const fs::path& to) {
  const fs::path temporary = to.string() + ".tmp";
  std::error_code error;
  fs::remove(temporary, error);
  fs::create_hard_link(fs::canonical(from), temporary, error);
  if (error) fs::copy_file(from, temporary, fs::copy_options::overwrite_existing, error);
  if (!error) fs::rename(temporary, to, error);
  if (error)
    throw Error(ErrorCode::kIo, "cannot keep {} as {}: {}", from.string(), to.string(), error.message());
}

}  // namespace

std::string identity_text(const data::CorpusIdentity& identity) {
  const nlohmann::ordered_json value{{"tokenizer", identity.tokenizer},
                                     {"train", identity.train},
                                     {"heldout", identity.heldout},
                                     {"train_tokens", identity.train_tokens},
                                     {"heldout_tokens", identity.heldout_tokens}};
  return value.dump(2) + "\n";
}

data::CorpusIdentity parse_identity(const std::string& text, const std::string& source) {
  try {
    const json value = json::parse(text);
    return {.tokenizer = value.at("tokenizer").get<std::string>(),
            .train = value.at("train").get<std::string>(),
            .heldout = value.at("heldout").get<std::string>(),
            .train_tokens = value.at("train_tokens").get<std::int64_t>(),
            .heldout_tokens = value.at("heldout_tokens").get<std::int64_t>()};
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kCorrupt, "{}: the identity of its corpus: {}", source, error.what());
  }
}

void keep_corpus(const fs::path& run_folder, const fs::path& corpus, const data::CorpusIdentity& identity) {
  const fs::path folder = run_folder / kKeptCorpus;
  const std::string text = identity_text(identity);
  if (is_kept(folder, text)) return;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(ErrorCode::kIo, "cannot make the folder {}: {}", folder.string(), error.message());
  for (const char* file : {data::kTokenizerFile, data::kHeldoutFile})
    link_or_copy(corpus / file, folder / file);
  write_file_atomically(folder / kIdentityFile, text);
}

fs::path corpus_of(const fs::path& checkpoint, const std::string& configured) {
  const fs::path kept = fs::absolute(checkpoint).parent_path().parent_path() / kKeptCorpus;
  std::error_code missing;
  return fs::exists(kept / data::kTokenizerFile, missing) ? kept : fs::path(configured);
}

std::string how_to_prepare_for(const fs::path& checkpoint, const std::string& configured) {
  const std::string folder = corpus_of(checkpoint, configured).string();
  return "text is prepared with the model's tokenizer by: " +
         troupe_command({"data", "prepare", "TEXT", "--tokenizer", folder, "--output", "FOLDER"});
}

}  // namespace troupe::cli
