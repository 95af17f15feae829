#include "data/corpus/find_tokenizer.h"

#include <yaml-cpp/yaml.h>

#include "base/error.h"
#include "data/token_dataset.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;

/// Folder of a run's corpus, from its resolved configuration; empty when the folder is no run.
fs::path corpus_of_run(const fs::path& run) {
  try {
    return YAML::LoadFile((run / "config.yaml").string())["data"]["corpus"].as<std::string>("");
  } catch (const YAML::Exception&) {
    return {};
  }
}

}  // namespace

fs::path find_tokenizer(const fs::path& path) {
  if (fs::is_regular_file(path)) return path;
  if (fs::is_regular_file(path / kTokenizerFile)) return path / kTokenizerFile;
  const fs::path corpus = corpus_of_run(path);
  if (!corpus.empty() && fs::is_regular_file(corpus / kTokenizerFile)) return corpus / kTokenizerFile;
  throw Error(
      ErrorCode::kConfig,
      "{}: there is no {}: name one, a prepared corpus or a run that has one, or train:8192 for a new one",
      path.string(), kTokenizerFile);
}

}  // namespace troupe::data
