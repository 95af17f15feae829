#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "data/tokenizer/tokenizer.h"

namespace troupe::data {

/// Hugging Face's tokenizer.json, as far as it says what Tokenizer does: a BPE model over the
/// byte-level alphabet, the ByteLevel pre-tokenizer (its regex on, no prefix space), no normalizer,
/// special added tokens only.
/// The file is not trusted. Anything else, or anything malformed, throws Error{kCorrupt} with the
/// file and the byte offset or the place in the document (like "/model/merges/17").

/// At most 64 MiB. Throws Error{kIo} when the file cannot be read.
[[nodiscard]] Tokenizer read_tokenizer_json(const std::filesystem::path& path);

/// `name` stands for the file in messages.
[[nodiscard]] Tokenizer parse_tokenizer_json(std::string_view text, const std::string& name);

/// Replaces the file atomically.
void write_tokenizer_json(const Tokenizer& tokenizer, const std::filesystem::path& path);

[[nodiscard]] std::string to_tokenizer_json(const Tokenizer& tokenizer);

}  // namespace troupe::data
