#pragma once
#include <filesystem>
#include <string>

#include "data/corpus_identity.h"

namespace troupe::cli {

/// A corpus' identity as manifests and run folders have it: JSON. Parsing throws kCorrupt.
[[nodiscard]] std::string identity_text(const data::CorpusIdentity& identity);
[[nodiscard]] data::CorpusIdentity parse_identity(const std::string& text, const std::string& source);

/// Makes a run's folder tell what the run is trained on, wherever the corpus goes: `<run>/corpus` gets the
/// tokenizer, the held-out text (linked where the file system can, so that it takes no space) and
/// identity.json. With it the run's models write and are evaluated. Throws kIo.
void keep_corpus(const std::filesystem::path& run_folder, const std::filesystem::path& corpus,
                 const data::CorpusIdentity& identity);

/// The folder with the tokenizer and the held-out text of a checkpoint: kept by its run when it was, else
/// where the corpus lay then.
[[nodiscard]] std::filesystem::path corpus_of(const std::filesystem::path& checkpoint,
                                              const std::string& configured);

/// How other text becomes a corpus that fits such a checkpoint, for the end of a refusal: a command.
[[nodiscard]] std::string how_to_prepare_for(const std::filesystem::path& checkpoint,
                                             const std::string& configured);

}  // namespace troupe::cli
