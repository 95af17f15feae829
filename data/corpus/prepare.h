#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>

namespace troupe::data {

struct PrepareRequest {
  std::filesystem::path description;       // YAML
  std::filesystem::path output;            // folder that is made, or replaced when it is an older preparation
  std::optional<std::int64_t> vocab_size;  // instead of the description's
  std::filesystem::path package_cache;     // see package_cache.h
};

/// Makes a corpus ready for training: fetches its packages, takes out and chooses the text, trains the
/// tokenizer on training documents, and writes tokenizer.json, train.h5, heldout.h5 and corpus.json
/// into `output`, all at once. The same inputs give the same bytes.
/// Returns false, having done nothing, when `output` holds the preparation of just these inputs.
/// Throws kConfig for a mistake in the description or an output folder that is something else, kIo.
bool prepare_corpus(const PrepareRequest& request);

}  // namespace troupe::data
