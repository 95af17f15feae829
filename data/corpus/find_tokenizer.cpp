#include "data/corpus/find_tokenizer.h"

#include "base/error.h"
#include "data/token_dataset.h"

namespace troupe::data {

namespace fs = std::filesystem;

fs::path find_tokenizer(const fs::path& path) {
  if (fs::is_regular_file(path)) return path;
  if (fs::is_regular_file(path / kTokenizerFile)) return path / kTokenizerFile;
  const fs::path kept = path / "corpus" / kTokenizerFile;  // by a run
  if (fs::is_regular_file(kept)) return kept;
  throw Error(
      ErrorCode::kConfig,
      "{}: there is no {}: name one, a prepared corpus or a run that has one, or train:8192 for a new one",
      path.string(), kTokenizerFile);
}

}  // namespace troupe::data
